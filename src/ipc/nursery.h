/* SPDX-License-Identifier: Apache-2.0 */
/* nursery.h - a process that has been linked and has done nothing since, and makes workers.
 *
 * To link a worker's libraries anew costs each worker memory of its own, more than a megabyte, and time.  So, where
 * several are started together, the master executes the program once with NURSERY_ARGUMENT.  That process initialises
 * nothing and opens nothing: it waits on descriptor NURSERY_CHANNEL_FD.  For each request it makes a copy of itself
 * that is a child of the master, with the descriptors that came along as 0, 1, 2 and so on, and that goes on as if
 * it had just been executed.  So no state of a library crosses a fork, as there is none yet.
 *
 * The kernel writes the copy's pid into memory that is shared with the master, before the copy runs: when a nursery
 * has died in the middle of it, the master knows whether there is a worker. */
#ifndef IPC_NURSERY_H
#define IPC_NURSERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NURSERY_CHANNEL_FD = 3,         /* SOCK_SEQPACKET; the end of it ends the nursery */
	NURSERY_PLACE_FD = 4,           /* shared memory, struct nursery_place */
	NURSERY_FDS,
	LIMIT_NURSERY_WORKER_FDS = 32,
	NURSERY_FAILED_STATUS = 125,    /* exit status of a worker that never began */
};
#define NURSERY_ARGUMENT "--nursery"

struct nursery_place {
	volatile int32_t pid;           /* of the worker that was asked for last; 0: it was not made */
};

/* What the nursery says: once when it is ready, then after each request. */
struct nursery_word {
	int32_t error;                  /* an errno; 0: ready, or the worker is made */
};

/* Master: asks for a worker with these descriptors.  0, or an errno. */
int nursery_ask(int channel_fd, const int *fds, size_t fd_count);

/* Nursery: whether this process was started to be one. */
bool nursery_is_asked_for(int argc, char **argv);
/* Returns in the workers that it makes, and nowhere else. */
void nursery_run(char **argv);

#endif
