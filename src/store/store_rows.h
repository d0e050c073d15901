/* SPDX-License-Identifier: Apache-2.0 */
/* store_rows.h - the rows behind store_rules.h, as an adapter with synchronous rows gives them.
 *
 * The rules decide, the rows remember: nothing here knows why a row changes.  All calls of one batch
 * run inside one transaction of the adapter, which takes all of it back when any of them fails.
 * A false return is such a failure (disk full, damage); "not there" is NULL. */
#ifndef STORE_STORE_ROWS_H
#define STORE_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "job/job.h"
#include "store/store.h"

struct store_call;

/* What comes first for a job in JOB_WAITING; passed in this order.  Stored as numbers. */
enum store_wait {
	WAIT_NONE = 0,          /* it is not waiting */
	WAIT_DELAY = 1,         /* not_before_ms */
	WAIT_GROUP = 2,         /* an earlier unfinished job of its queue and message group */
	WAIT_LOCK = 3,          /* its turn at the lock key */
};

/* What the owner has not been told yet; bits, stored as numbers. */
enum store_news {
	NEWS_READY = 1,         /* waiting -> queued */
	NEWS_SUPERSEDED = 2,
	NEWS_RECEIPT = 4,       /* another worker received the message again */
};

struct store_row {
	struct job *job;        /* without body and attempt.request unless it was read whole */
	enum store_wait wait;
	unsigned news;
};

struct store_owner {
	char boot_id[40];       /* clock_boot_id() of the machine it runs on */
	int64_t lease_until_ms; /* clock_boot_ms() of that boot */
};

struct store_rows;

struct store_rows_ops {
	/* -- jobs; each write takes the row's fields that it names and finds the row by seq -- */
	bool (*find)(struct store_rows *rows, const char *id, struct store_row **row, struct error *err);
	/* Adds body and attempt.request to a row. */
	bool (*read_whole)(struct store_rows *rows, struct store_row *row, struct error *err);
	/* Sets job->seq. */
	bool (*insert)(struct store_rows *rows, struct store_row *row, struct error *err);
	/* state, wait, news, grant, not_before_ms */
	bool (*move)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* state (final), wait, news, reason, detail, exit_code, finished_ms */
	bool (*end)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* message, news */
	bool (*write_message)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* owner, fence, news */
	bool (*write_owner)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* attempt becomes the current one; the same number and step replaces. */
	bool (*begin_attempt)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* attempt.handle and started_ms */
	bool (*start_attempt)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* Ends the current attempt and drops its request.  reason may be NULL. */
	bool (*end_attempt)(struct store_rows *rows, const struct store_row *row, const char *reason, int64_t at_ms,
		struct error *err);

	/* -- who is next -- */
	/* The first of a key at WAIT_LOCK, by priority, then seq. */
	bool (*next_waiter)(struct store_rows *rows, const char *lock_key, struct store_row **row, struct error *err);
	/* The earliest unfinished job of a group. */
	bool (*group_head)(struct store_rows *rows, const char *queue, const char *group, struct store_row **row,
		struct error *err);
	/* Any job of deployer and key in JOB_WAITING. */
	bool (*any_waiting)(struct store_rows *rows, const char *lock_key, const char *deployer,
		struct store_row **row, struct error *err);
	/* The first at WAIT_DELAY whose delay is over. */
	bool (*next_due)(struct store_rows *rows, int64_t now_ms, struct store_row **row, struct error *err);
	/* When the next delay ends; 0 for none. */
	bool (*due_time)(struct store_rows *rows, int64_t *due_ms, struct error *err);

	/* -- locks; holder NULL: free.  grant is the last one given, 0 for a key never seen. -- */
	bool (*read_lock)(struct store_rows *rows, const char *key, char **holder, int64_t *grant, struct error *err);
	bool (*write_lock)(struct store_rows *rows, const char *key, const char *holder, int64_t grant,
		struct error *err);

	/* -- owners -- */
	bool (*read_owner)(struct store_rows *rows, const char *id, bool *found, struct store_owner *owner,
		struct error *err);
	bool (*write_owner_row)(struct store_rows *rows, const char *id, const struct store_owner *owner,
		struct error *err);
	bool (*remove_owner)(struct store_rows *rows, const char *id, struct error *err);
	/* An owner other than me whose lease has ended or was of another boot; id NULL for none. */
	bool (*dead_owner)(struct store_rows *rows, const char *me, const struct store_owner *now, char **id,
		struct error *err);
	/* Takes the owner off all its unfinished or unsettled jobs. */
	bool (*release)(struct store_rows *rows, const char *owner, size_t *count, struct error *err);
	/* Up to max unfinished or unsettled jobs without an owner, oldest first. */
	bool (*unowned)(struct store_rows *rows, size_t max, struct store_row ***found, size_t *count, struct error *err);
	/* Up to max jobs of owner with news. */
	bool (*with_news)(struct store_rows *rows, const char *owner, size_t max, struct store_row ***found,
		size_t *count, struct error *err);

	/* -- faults -- */
	/* A dedup_key that is there already: success without effect. */
	bool (*add_fault)(struct store_rows *rows, const struct store_fault *fault, const char *dedup_key,
		struct error *err);
	/* Adds up to max unpublished faults that nobody has claimed beyond now to the call, oldest first,
	 * and claims them until then. */
	bool (*claim_faults)(struct store_rows *rows, size_t max, const struct store_owner *now,
		const struct store_owner *until, struct store_call *call, struct error *err);
	bool (*fault_published)(struct store_rows *rows, int64_t id, struct error *err);
};

/* Embedded in an adapter's struct. */
struct store_rows {
	const struct store_rows_ops *ops;
};

struct store_row *store_row_create(struct job *take_job);
/* NULL is allowed. */
void store_row_destroy(struct store_row *row);
void store_rows_destroy(struct store_row **rows, size_t count);
/* Unfinished, or its message is still to be settled: somebody has to own it. */
bool store_row_is_live(const struct store_row *row);

#endif
