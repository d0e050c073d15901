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
	NEWS_CANCEL = 8,        /* somebody asked for its end; its state says whether it has come */
	NEWS_TOLD = 16,         /* its task has changed state, somebody heard */
};

struct store_row {
	struct job *job;        /* without body and attempt.request unless it was read whole */
	enum store_wait wait;
	unsigned news;
	int64_t rank;           /* the place among the waiters of its key; of equal ones the lower seq is first */
};

/* A key; all zero for one that was never seen. */
struct store_held {
	char *holder;           /* a job's id; NULL: free */
	int64_t grant;          /* the last one that was given */
	int64_t since_ms;       /* steady clock of that; 0: unknown */
};

/* A bucket of tokens. */
struct store_bucket {
	char boot_id[40];       /* "": a new one */
	double tokens, per_s;
	int64_t filled_ms;      /* clock_boot_ms(), as the two below: when tokens was true */
	int64_t halved_ms, raised_ms;
	bool short_of;          /* somebody was given less than he wanted since the last change of per_s */
};

/* Deliveries of no job that may be forgotten; steady clock. */
struct store_others {
	int64_t older_than_ms;
	int64_t open_older_than_ms;
};

/* Jobs that may be forgotten, from where on. */
struct store_pruned {
	int64_t older_than_ms;
	int64_t after_ms, after_seq;    /* end and seq of the last one that was looked at; 0: the first */
};

struct store_owner {
	char boot_id[40];       /* clock_boot_id() of the machine it runs on */
	int64_t lease_until_ms; /* clock_boot_ms() of that boot */
};

/* How an attempt ended. */
struct store_attempt_end {
	const char *reason;     /* NULL: it only made way for the next step */
	int exit_code;
	int64_t at_ms;
};

struct store_rows;

struct store_rows_ops {
	/* -- jobs; each write takes the row's fields that it names and finds the row by seq -- */
	bool (*find)(struct store_rows *rows, const char *id, struct store_row **row, struct error *err);
	/* Adds body and attempt.request to a row. */
	bool (*read_whole)(struct store_rows *rows, struct store_row *row, struct error *err);
	/* The seq that the next insert or reopen is to use; never one that was in use. */
	bool (*next_seq)(struct store_rows *rows, int64_t *seq, struct error *err);
	/* One that is launching with its attempt, as by begin_attempt. */
	bool (*insert)(struct store_rows *rows, struct store_row *row, struct error *err);
	/* The row of job->id, found by that, gets the new seq of the row and all else but what came with it:
	 * project to body, message, and the attempts. */
	bool (*reopen)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* state, wait, news, grant, not_before_ms, failures, losses, waits_for, next_try_ms, cancelled_by,
	 * cancel_reason */
	bool (*move)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* state (final), wait, news, reason, detail, exit_code, finished_ms, cancelled_by, cancel_reason; clears
	 * waits_for and next_try_ms */
	bool (*end)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* message, news */
	bool (*write_message)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* owner, fence, news */
	bool (*write_owner)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* attempt becomes the current one; the same number and step replaces. */
	bool (*begin_attempt)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* attempt.handle and started_ms */
	bool (*start_attempt)(struct store_rows *rows, const struct store_row *row, struct error *err);
	/* Ends the current attempt and drops its request. */
	bool (*end_attempt)(struct store_rows *rows, const struct store_row *row, const struct store_attempt_end *end,
		struct error *err);

	/* -- the usual moves of an owner, each checked and made at once, where it costs much to look at a row before.
	 * All NULL where it does not. --
	 * *moved: the row with mine's seq and id was owner's under its fence and as usual for the move, and all was
	 * written that the rules would have written.  Else nothing was, and the rules look for themselves: they
	 * know what is unusual, and what to say of it. */
	/* Queued, with no news but that: launching in mine->attempt. */
	bool (*intend_ours)(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
		struct error *err);
	/* Launching in mine's attempt: running. */
	bool (*start_ours)(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
		struct error *err);
	/* Running in mine's attempt, without news, of no group, its message not settled, holding its key (or none) by
	 * mine's grant: ended, as mine's state, reason, detail and exit_code say.  What it makes room for is the rules'. */
	bool (*finish_ours)(struct store_rows *rows, const char *owner, const struct job *mine, int64_t now_ms, bool *moved,
		struct error *err);
	/* Not settled, its message not received again since: mine->message is noted; ended if that is settled. */
	bool (*note_ours)(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
		struct error *err);

	/* Add to the call: the jobs of call->filter, without body and request; the attempts of call->name. */
	bool (*list)(struct store_rows *rows, struct store_call *call, struct error *err);
	bool (*list_attempts)(struct store_rows *rows, struct store_call *call, struct error *err);
	/* Of the states that have none nothing is written. */
	bool (*count)(struct store_rows *rows, uint64_t counts[JOB_STATES], struct error *err);
	/* All but its jobs. */
	bool (*totals)(struct store_rows *rows, struct store_totals *totals, struct error *err);

	/* -- who is next -- */
	/* The first of a key at WAIT_LOCK, by rank, then seq. */
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

	/* How many of row's key at WAIT_LOCK come before row. */
	bool (*count_ahead)(struct store_rows *rows, const struct store_row *row, size_t *count, struct error *err);
	/* How many unfinished jobs of row's group were accepted before it. */
	bool (*count_group_ahead)(struct store_rows *rows, const struct store_row *row, size_t *count,
		struct error *err);

	/* -- locks -- */
	/* held->holder is the caller's. */
	bool (*read_lock)(struct store_rows *rows, const char *key, struct store_held *held, struct error *err);
	bool (*write_lock)(struct store_rows *rows, const char *key, const struct store_held *held, struct error *err);
	/* A key that is held by this grant becomes free; *freed: it was. */
	bool (*free_lock)(struct store_rows *rows, const char *key, int64_t grant, bool *freed, struct error *err);
	/* Adds up to call->max held keys beyond call->name to the call, in order. */
	bool (*held_locks)(struct store_rows *rows, struct store_call *call, struct error *err);

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

	/* -- crashes -- */
	/* A second one of the same key and owner is no other. */
	bool (*add_crash)(struct store_rows *rows, const char *key, const char *owner, int64_t at_ms, struct error *err);
	bool (*count_crashes)(struct store_rows *rows, const char *key, unsigned *count, struct error *err);
	/* Of a key, or with NULL all that are older. */
	bool (*forget_crashes)(struct store_rows *rows, const char *key, int64_t older_than_ms, struct error *err);

	/* -- rates -- */
	bool (*read_bucket)(struct store_rows *rows, const char *name, struct store_bucket *bucket, struct error *err);
	bool (*write_bucket)(struct store_rows *rows, const char *name, const struct store_bucket *bucket,
		struct error *err);

	/* -- outbox; open: not delivered yet, the dead included -- */
	bool (*was_said)(struct store_rows *rows, const char *dedup_key, bool *said, struct error *err);
	/* Gives it an id. */
	bool (*add_delivery)(struct store_rows *rows, const struct store_delivery *delivery, const char *dedup_key,
		struct error *err);
	/* Adds up to max that are open, not dead and due to the call, the longest due first. */
	bool (*due_deliveries)(struct store_rows *rows, size_t max, int64_t now_ms, struct store_call *call,
		struct error *err);
	/* Puts its next try off until then, for owner, whoever had claimed it before. */
	bool (*claim_delivery)(struct store_rows *rows, int64_t id, const char *owner, int64_t until_ms,
		struct error *err);
	/* Makes what owner has claimed due at now_ms. */
	bool (*free_claims)(struct store_rows *rows, const char *owner, int64_t now_ms, struct error *err);
	/* tries, next_try_ms, error, dead, and nobody's claim unless it is kept; not there, or not claimed by owner:
	 * success without effect. */
	bool (*write_delivery)(struct store_rows *rows, const struct store_delivery *delivery, const char *owner,
		struct error *err);
	/* When the next one that is open and not dead is due; 0 for none. */
	bool (*delivery_time)(struct store_rows *rows, int64_t *due_ms, struct error *err);
	/* Makes a dead one, or with id 0 all, due at now_ms with no tries; count is how many. */
	bool (*revive)(struct store_rows *rows, int64_t id, int64_t now_ms, size_t *count, struct error *err);
	/* Adds those of call->delivery_filter to the call. */
	bool (*list_deliveries)(struct store_rows *rows, struct store_call *call, struct error *err);

	/* -- what may be forgotten -- */
	/* Up to max jobs that are final and settled, by their end, then seq, from where pruned says. */
	bool (*ended)(struct store_rows *rows, const struct store_pruned *pruned, size_t max, struct store_row ***found,
		size_t *count, struct error *err);
	/* With body, attempts and deliveries, if none of these is open but such as were given up before dead_before_ms. */
	bool (*forget)(struct store_rows *rows, const struct store_row *row, int64_t dead_before_ms, bool *gone,
		struct error *err);
	/* Up to max old deliveries that are of no job. */
	bool (*forget_others)(struct store_rows *rows, const struct store_others *others, size_t max, size_t *count,
		struct error *err);
};

/* Embedded in an adapter's struct. */
struct store_rows {
	const struct store_rows_ops *ops;
};

struct store_row *store_row_create(struct job *take_job);
/* NULL is allowed. */
void store_row_destroy(struct store_row *row);
/* Its job; the row is gone. */
struct job *store_row_take_job(struct store_row *row);
void store_rows_destroy(struct store_row **rows, size_t count);
/* Not delivered yet, the dead included. */
bool store_delivery_is_open(const struct store_delivery *delivery);
/* Unfinished, or its message is still to be settled: somebody has to own it. */
bool store_row_is_live(const struct store_row *row);

#endif
