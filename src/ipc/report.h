/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what master and child say to each other over their channel.
 *
 * One datagram (SOCK_SEQPACKET) per report, a fixed struct.  Who speaks is known by the descriptor,
 * never by what the report says.  Sending never waits: a report that does not fit is dropped and
 * the sender is told.  Readiness is a state: REPORT_READY may be repeated. */
#ifndef IPC_REPORT_H
#define IPC_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
	REPORT_MAGIC = 0x72707274,
	REPORT_VERSION = 1,
	REPORT_TEXT_BYTES = 512,
	REPORT_NAME_BYTES = 128,
};

enum report_kind {
	/* child to master */
	REPORT_HELLO,           /* the first one: config_hash as read */
	REPORT_READY,           /* warmed up and parked; text: "" or what is degraded */
	REPORT_REFUSED,         /* cannot become ready, and says why in text; leaves with status 2 */
	REPORT_ALIVE,           /* heartbeat; worker's numbers are filled; text: why it is degraded, or "" */
	REPORT_QUEUE,           /* a queue's numbers (name, queue); sent with each ALIVE */
	REPORT_RELEASED,        /* jobs were given up into the store: tell the others to adopt */
	REPORT_WAKE,            /* tell the worker whose owner id is in name: sweep, it has a granted job */
	REPORT_EMPTY,           /* draining and holds no job; only open receives are waited for */
	/* master to child */
	REPORT_GO,              /* take jobs */
	REPORT_DRAIN,           /* take no more; deadline_ms from now hand over the rest and leave */
	REPORT_RELEASE,         /* hand over now and leave */
	REPORT_EXIT,            /* parked: just leave */
	REPORT_REOPEN,          /* a new log descriptor comes along */
	REPORT_PING,            /* answer with REPORT_ALIVE now */
	REPORT_ADOPT,           /* there may be jobs that nobody owns */
	REPORT_SWEEP,           /* one of your jobs may have been granted its lock */
	REPORT_ORPHANS,         /* the worker in name is dead, how is in text: record it, disown it, adopt */
	/* of either, and later: a child that lives through an upgrade has to mean the same by each number as
	 * the master after it */
	REPORT_HINT,            /* api: a job was submitted, cancelled or retried: all workers adopt and sweep; with
				 * REPORT_HINT_JOBS in name nothing but jobs came, for which one worker is enough */
	REPORT_CRASHED_ON,      /* master: follows ORPHANS when it died by its own fault; text: what it had in hand */
	REPORT_SCALE,           /* child: so many workers the backlog is worth; scale is filled */
	REPORT_KINDS
};

#define REPORT_HINT_JOBS "jobs"

struct report_worker {
	uint32_t held;                  /* jobs in memory */
	uint32_t running;               /* of these launched and not ended */
	uint32_t dropped_reports;
	uint32_t log_dropped;
	uint64_t jobs_done;
	uint64_t rss_bytes;
	uint32_t longest_commit_us;
	uint32_t degraded;              /* 1: the store takes no writes */
};

struct report_queue {
	uint32_t held, receiving;
	uint64_t received, settled, empty_receives, failures;
	int64_t last_receive_age_ms;    /* since a receive last completed; -1: never */
	uint32_t degraded;
};

struct report_scale {
	uint32_t wanted;                /* within the configured bounds */
	uint64_t depth;                 /* messages that wait */
};

struct report_drain {
	uint32_t last;                  /* 1: gantryd stops, so nobody takes over what this worker could still do */
};

struct report {
	uint32_t magic;
	uint16_t version, kind;
	uint32_t generation;
	uint32_t sequence;              /* per sender, from 1 */
	int64_t deadline_ms;            /* REPORT_DRAIN: from now */
	uint64_t config_hash;           /* REPORT_HELLO */
	union {
		struct report_worker worker;
		struct report_queue queue;
		struct report_scale scale;
		struct report_drain drain;
	};
	char name[REPORT_NAME_BYTES];   /* queue name or owner id */
	char text[REPORT_TEXT_BYTES];
};

enum report_read { REPORT_READ_ONE, REPORT_READ_NONE, REPORT_READ_BAD, REPORT_READ_EOF };

const char *report_kind_name(enum report_kind kind);
/* Fills magic, version and kind of a zeroed report. */
void report_init(struct report *report, enum report_kind kind, unsigned generation);
/* Sends one, with a descriptor passed along when pass_fd >= 0.  Never blocks; false when it was not
 * sent (full, or the peer is gone: errno says). */
bool report_send(int channel_fd, const struct report *report, int pass_fd);
/* Receives one without blocking; texts are terminated.  passed_fd (may be NULL) gets a descriptor that
 * came along, close-on-exec, the caller's, or -1. */
enum report_read report_receive(int channel_fd, struct report *report, int *passed_fd);

#endif
