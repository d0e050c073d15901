/* SPDX-License-Identifier: Apache-2.0 */
/* in_hand.h - what a worker is busy with at this moment, readable after its death.
 *
 * A page of memory shared with the master.  The worker writes the key of a message or job there before
 * it handles something that came from outside and clears it after; when it dies by its own fault
 * (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS, or hung until the watchdog ended it), the master
 * reads what it was, and a message that crashed two workers is not handled a third time.  A kill from
 * outside (SIGKILL, SIGTERM, the OOM killer) blames nobody. */
#ifndef IPC_IN_HAND_H
#define IPC_IN_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { IN_HAND_KEY_BYTES = 256 };

struct in_hand {
	volatile uint32_t taken;        /* 1 while key says something */
	char key[IN_HAND_KEY_BYTES];    /* a job's id, or queue + "/" + message id before there is a job */
};

/* Shared memory for one worker, close-on-exec; -1 on error. */
int in_hand_create(struct error *err);
/* Maps it; NULL on error.  The descriptor may be closed then. */
struct in_hand *in_hand_map(int fd, struct error *err);
void in_hand_unmap(struct in_hand *in_hand);
/* Worker; NULL is allowed and does nothing.  A longer key is cut. */
void in_hand_take(struct in_hand *in_hand, const char *key);
void in_hand_drop(struct in_hand *in_hand);
/* Master, after its death: the key, copied and terminated (whatever the dead one wrote), or false. */
bool in_hand_read(const struct in_hand *in_hand, char key[IN_HAND_KEY_BYTES]);

#endif
