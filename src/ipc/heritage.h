/* SPDX-License-Identifier: Apache-2.0 */
/* heritage.h - all that a child inherits from the master.
 *
 * The master writes one struct heritage into sealed memory and starts the child with that memory as
 * descriptor HERITAGE_FD; the descriptors it names are open in the child, every other one is
 * closed.  Nothing is told by environment or arguments, so nothing shows in ps(1). */
#ifndef IPC_HERITAGE_H
#define IPC_HERITAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
	HERITAGE_FD = 3,
	HERITAGE_MAGIC = 0x67616e74,
	HERITAGE_VERSION = 3,
	HERITAGE_OWNER_BYTES = 96,
	HERITAGE_LOG_BYTES = 16,
};

enum role { ROLE_WORKER, ROLE_CHECK, ROLE_API, ROLES };
const char *role_name(enum role role);

enum { HERITAGE_LISTENERS = 16 };

struct heritage {
	uint32_t magic, version, size;
	uint32_t role;                  /* enum role */
	uint32_t generation;
	uint32_t slot;                  /* 0 .. workers - 1; the worker in 0 may create or migrate the store */
	uint32_t slots;                 /* how many workers this generation has */
	int32_t channel_fd;             /* SOCK_SEQPACKET, struct report both ways; EOF: the master is dead */
	int32_t config_fd;              /* canonical configuration, sealed memory */
	int32_t log_fd;                 /* where log lines go; -1: syslog */
	uint32_t first;                 /* 1: the first worker of a daemon's life; it checks the store */
	uint32_t heartbeat_ms;          /* REPORT_ALIVE, with the figures copied, at least this often */
	uint32_t drain_timeout_ms;      /* also when the master is dead */
	int32_t in_hand_fd;             /* shared memory, struct in_hand: what the worker is busy with; -1: none */
	int32_t figures_fd;             /* shared memory, struct figures: where it counts; -1: nowhere */
	int32_t shim_fd;                /* the pinned program that holds a local command; -1: none */
	int32_t listener_fds[HERITAGE_LISTENERS];       /* ROLE_API, in the order of api.listen; -1 ends */
	uint64_t config_hash;
	char owner[HERITAGE_OWNER_BYTES];       /* the worker's id in the store: host, boot, pid of master, serial */
};

/* Master: sealed memory with heritage in it, close-on-exec; -1 on error. */
int heritage_write(const struct heritage *heritage, struct error *err);
/* Child: reads HERITAGE_FD, checks it, closes it, and makes the descriptors close-on-exec. */
bool heritage_read(struct heritage *heritage, struct error *err);

#endif
