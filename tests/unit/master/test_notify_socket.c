/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "master/notify_socket.h"

struct manager {
	int fd;
	struct ev_loop *loop;
	struct notify_socket notify;
};

static void set_up(struct manager *manager)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];
	int length = snprintf(name, sizeof(name), "@gantry-notify-%d", (int)getpid());

	memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager->fd >= 0);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	manager->loop = ev_loop_new(EVFLAG_NOENV);
	notify_socket_open(&manager->notify, manager->loop);
	assert_true(manager->notify.fd >= 0);
}

static void tear_down(struct manager *manager)
{
	notify_socket_close(&manager->notify);
	ev_loop_destroy(manager->loop);
	close(manager->fd);
}

/* As much as it takes without reading. */
static int fill(const struct manager *manager)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), count = 0;

	while (sendto(fd, "FILLER", 6, 0, (const struct sockaddr *)&manager->notify.address,
		manager->notify.address_size) == 6)
		count++;
	assert_int_equal(errno, EAGAIN);
	close(fd);
	return count;
}

/* The next one's first line; "" when there is none. */
static const char *next(const struct manager *manager, char text[256])
{
	ssize_t n = recv(manager->fd, text, 255, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void read_past(const struct manager *manager, int count)
{
	char text[256];

	for (int i = 0; i < count; i++)
		assert_string_equal(next(manager, text), "FILLER");
}

static void test_nothing_overtakes_what_waits(void **state)
{
	struct manager manager;
	char text[256];
	int count;

	(void)state;
	set_up(&manager);
	count = fill(&manager);
	notify_reloading(&manager.notify);
	/* There is room by now, and who waits longest is the next. */
	read_past(&manager, count);
	notify_ready(&manager.notify, "generation 2");
	assert_string_equal(next(&manager, text), "");
	while (manager.notify.waiting_count > 0)
		ev_run(manager.loop, EVRUN_ONCE);
	assert_string_equal(next(&manager, text), "RELOADING=1");
	assert_string_equal(next(&manager, text), "READY=1");
	assert_string_equal(next(&manager, text), "");
	assert_false(ev_is_active(&manager.notify.retry));
	tear_down(&manager);
}

static void test_what_is_newest_is_kept_and_watchdogs_push_nothing_out(void **state)
{
	struct manager manager;
	char text[256];
	int count;

	(void)state;
	set_up(&manager);
	count = fill(&manager);
	notify_reloading(&manager.notify);
	for (int i = 0; i < LIMIT_NOTIFY_WAITING; i++)
		notify_ready(&manager.notify, "again");
	for (int i = 0; i < LIMIT_NOTIFY_WAITING; i++)
		notify_watchdog(&manager.notify);
	assert_int_equal(manager.notify.waiting_count, LIMIT_NOTIFY_WAITING);
	read_past(&manager, count);
	for (size_t left = manager.notify.waiting_count; left > 0; left = manager.notify.waiting_count)
		ev_run(manager.loop, EVRUN_ONCE);
	for (int i = 0; i < LIMIT_NOTIFY_WAITING; i++)
		assert_string_equal(next(&manager, text), "READY=1");
	assert_string_equal(next(&manager, text), "");
	notify_watchdog(&manager.notify);
	assert_string_equal(next(&manager, text), "WATCHDOG=1");
	tear_down(&manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_overtakes_what_waits),
		cmocka_unit_test(test_what_is_newest_is_kept_and_watchdogs_push_nothing_out),
	};

	return cmocka_run_group_tests_name("notify_socket", tests, NULL, NULL);
}
