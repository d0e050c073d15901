/* SPDX-License-Identifier: Apache-2.0 */
/* fake_api.c - see fake_api.h. */
#include "fake_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fake_api_init(struct fake_api *api, const struct heritage *heritage)
{
	*api = (struct fake_api){ .generation = heritage->generation };
	while (api->listener_count < HERITAGE_LISTENERS && heritage->listener_fds[api->listener_count] >= 0) {
		api->listener_fds[api->listener_count] = heritage->listener_fds[api->listener_count];
		api->listener_count++;
	}
}

void fake_api_drain(struct fake_api *api)
{
	for (size_t i = 0; i < api->listener_count; i++)
		close(api->listener_fds[i]);
	api->listener_count = 0;
}

size_t fake_api_polls(const struct fake_api *api, struct pollfd *polls)
{
	for (size_t i = 0; i < api->listener_count; i++)
		polls[i] = (struct pollfd){ .fd = api->listener_fds[i], .events = POLLIN };
	return api->listener_count;
}

size_t fake_api_accept(struct fake_api *api, const struct pollfd *polls, size_t count, double now, double linger_s)
{
	size_t before = api->connection_count;

	for (size_t i = 0; i < count && api->connection_count < FAKE_CONNECTIONS; i++) {
		int fd = polls[i].revents != 0 ? accept4(polls[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;

		if (fd >= 0)
			api->connections[api->connection_count++] =
				(struct fake_connection){ .fd = fd, .answer_at = now + linger_s };
	}
	return api->connection_count - before;
}

void fake_api_answer(struct fake_api *api, double now)
{
	size_t left = 0;

	for (size_t i = 0; i < api->connection_count; i++) {
		struct fake_connection connection = api->connections[i];

		if (connection.answer_at > now) {
			api->connections[left++] = connection;
			continue;
		}
		/* Whoever has hung up wants no answer. */
		dprintf(connection.fd, "%d %u\n", (int)getpid(), api->generation);
		close(connection.fd);
	}
	api->connection_count = left;
}

double fake_api_next(const struct fake_api *api)
{
	double next = 0;

	for (size_t i = 0; i < api->connection_count; i++) {
		if (next == 0 || api->connections[i].answer_at < next)
			next = api->connections[i].answer_at;
	}
	return next;
}
