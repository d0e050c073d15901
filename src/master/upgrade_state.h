/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_state.h - what a master hands to the program that takes over: plain data, and its text form.
 *
 *      gantryd version=1 reader=1 program=/usr/sbin/gantryd program_fd=9 ...
 *      edition id=0 config_fd=12 worker_fd=13 log_fd=14
 *      generation number=3 state=1 edition=0 ...
 *      slot generation=3 number=0 deaths=0 child=17 ...
 *      child serial=17 generation=3 pid=814 channel_fd=20 ...
 *      client fd=25 wait=2
 *      orphan owner=... how="killed by signal 9"
 *      listener fd=26 text=127.0.0.1:7777 ...
 *      end lines=8 sum=1f0c...
 *
 * Records and keys that a reader does not know are skipped, keys that it misses are zero; so a newer
 * and an older program understand each other as long as `reader` allows.  Times are microseconds of
 * the monotonic clock. */
#ifndef MASTER_UPGRADE_STATE_H
#define MASTER_UPGRADE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "ipc/heritage.h"
#include "ipc/in_hand.h"
#include "ipc/report.h"
#include "master/roster.h"

enum {
	UPGRADE_STATE_VERSION = 1,      /* what we write */
	UPGRADE_STATE_READER = 1,       /* who reads it must know at least this version */
	LIMIT_UPGRADE_STATE_BYTES = 128 << 20,  /* more than 16384 records of the longest texts */
	LIMIT_UPGRADE_RECORDS = 16384,          /* of a kind */
	UPGRADE_TEXT_BYTES = 1024,
};

struct upgrade_daemon {
	unsigned version, reader;
	char program[UPGRADE_TEXT_BYTES];
	int program_fd;                 /* the program that wrote this; where to go back to */
	int pid_fd, control_fd;         /* -1: none */
	uint64_t control_device, control_inode;
	int check_fd, worker_fd;        /* its programs, for when it has to go on; -1: not opened */
	int api_fd, shim_fd;            /* 0 or -1: it had none */
	int figures_fd;                 /* of the departed; the same */
	unsigned requests, scale_to;
	unsigned upgrades, reloads;
	unsigned last_number;
	uint64_t last_serial;
	char owner_prefix[ROSTER_OWNER_BYTES];
	double started_at;
	unsigned current;               /* number of the running generation */
	int last_good;                  /* id of its edition; -1: none */
	bool fall_back;
	unsigned verdict;
	char reason[UPGRADE_TEXT_BYTES];
};

struct upgrade_edition { unsigned id; int config_fd, worker_fd, api_fd, shim_fd, log_fd; };

struct upgrade_generation {
	unsigned number, state, edition;
	bool fallback;
	double committed_at, probation_until;   /* 0: not in probation */
};

struct upgrade_slot {
	unsigned generation, role, number, deaths;
	bool crashed;
	uint64_t child;                 /* its serial; 0: none */
	double restart_at;              /* 0: none is to be started */
};

struct upgrade_child {
	uint64_t serial;
	unsigned generation, role, slot, state;
	int pid, channel_fd;            /* channel_fd -1: it closed it */
	int in_hand_fd, figures_fd;     /* 0 or -1: none */
	char owner[HERITAGE_OWNER_BYTES];
	unsigned owed, sequence_out, sequence_in, nonsense, wait;
	int64_t drain_ms;
	double wait_until, started_at, active_at, drain_at;
	bool killed, aborted, empty;
	char reason[REPORT_TEXT_BYTES];
};

struct upgrade_client { int fd; unsigned wait; };
struct upgrade_listener { int fd; char text[UPGRADE_TEXT_BYTES]; uint64_t device, inode; bool lent; };
struct upgrade_orphan { char owner[REPORT_NAME_BYTES], how[REPORT_TEXT_BYTES], crashed_on[IN_HAND_KEY_BYTES]; };

struct upgrade_state {
	struct upgrade_daemon daemon;
	struct upgrade_edition *editions;
	struct upgrade_generation *generations;
	struct upgrade_slot *slots;
	struct upgrade_child *children;
	struct upgrade_client *clients;
	struct upgrade_orphan *orphans;
	struct upgrade_listener *listeners;
	size_t edition_count, generation_count, slot_count, child_count, client_count, orphan_count, listener_count;
};

void upgrade_state_encode(const struct upgrade_state *state, struct buf *out);
/* ERROR_INVALID: cut, damaged, or too new for us.  Whatever is returned, finish it. */
bool upgrade_state_decode(struct upgrade_state *state, const char *text, size_t size, struct error *err);
void upgrade_state_finish(struct upgrade_state *state);
/* The descriptor of the program that wrote a state that may be unreadable otherwise; -1: not found. */
int upgrade_state_program_fd(const char *text, size_t size);
/* Adds a zeroed record of the kind whose array and count these are. */
void *upgrade_state_add(void *array, size_t *count, size_t record_bytes);

#endif
