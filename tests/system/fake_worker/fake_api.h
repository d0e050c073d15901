/* SPDX-License-Identifier: Apache-2.0 */
/* fake_api.h - a gantry-api without HTTP: to whoever connects it says "pid generation" and hangs up. */
#ifndef FAKE_API_H
#define FAKE_API_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/heritage.h"

enum { FAKE_CONNECTIONS = 64, FAKE_POLLS = HERITAGE_LISTENERS + 1 };

struct fake_connection {
	int fd;
	double answer_at;               /* monotonic */
};

struct fake_api {
	int listener_fds[HERITAGE_LISTENERS];
	size_t listener_count;          /* 0 once it drains */
	struct fake_connection connections[FAKE_CONNECTIONS];
	size_t connection_count;
	unsigned generation;
};

void fake_api_init(struct fake_api *api, const struct heritage *heritage);
/* Closes the listeners; what was accepted will be answered. */
void fake_api_drain(struct fake_api *api);
/* Adds the listeners; how many. */
size_t fake_api_polls(const struct fake_api *api, struct pollfd *polls);
/* Accepts from those that are ready; they are answered linger_s later.  How many. */
size_t fake_api_accept(struct fake_api *api, const struct pollfd *polls, size_t count, double now, double linger_s);
/* Answers those whose time has come. */
void fake_api_answer(struct fake_api *api, double now);
/* When the next answer is due; 0: none is. */
double fake_api_next(const struct fake_api *api);

#endif
