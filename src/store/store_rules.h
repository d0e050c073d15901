/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules.h - what a call means for jobs, locks, groups and owners.
 *
 * The order of grants, the policies, the verdict on a redelivery and the check of owner and fence are
 * written down here once; store_memory.c and store_sqlite*.c bring the rows. */
#ifndef STORE_STORE_RULES_H
#define STORE_STORE_RULES_H

#include "store/store_impl.h"
#include "store/store_rows.h"

enum {
	STORE_CLAIM_MS = 60000,         /* how long a claimed delivery is left to its claimer */
	STORE_RANK_PER_PRIORITY = 1000, /* so many earlier jobs are overtaken by one point of priority, at most */
	STORE_CRASHES_KEPT_MS = 7 * 86400 * 1000,
	LIMIT_SWEEP_JOBS = 1000,        /* a sweep that finds more asks to be repeated at once */
};

struct store_rules {
	struct store *store;            /* whose owner and lease */
	struct store_rows *rows;
	struct store_call *call;
	int64_t now_ms;                 /* steady clock at the start of the call */
	int64_t next_seq;               /* of the next job that gets a place by this call; 0: not looked up yet */
};

/* Carries out a call inside the adapter's transaction and fills its outs and its err.  A call that is
 * refused (call->err) has changed nothing.  False: the rows failed, and the whole batch with them. */
bool store_rules_run(struct store *store, struct store_rows *rows, struct store_call *call, struct error *err);

/* Carries out a call that only reads, as of one moment; what it needs of a transaction is the adapter's.
 * False: the rows failed, and the outs are to be forgotten. */
bool store_rules_read(struct store_rows *rows, struct store_call *call, struct error *err);

/* -- between the files of the rules -------------------------------------------------------------- */

/* store_rules.c */
/* The row of a write, or NULL with call->err set: the job must be ours under this fence. */
bool rules_find_ours(struct store_rules *rules, const struct job *given, struct store_row **row, struct error *err);
/* What a job waited for is over when it moves. */
void rules_clear_wait(struct job *job);

/* What others have ended: somebody still has to tell of it, so it is not settled until its owner says so. */
bool rules_end_for_others(struct store_rules *rules, struct store_row *row, struct error *err);

/* store_rules_turn.c: whose turn it is. */
bool rules_needs_key(const struct job *job);
/* Gives a free key to the first who waits for it. */
bool rules_grant_key(struct store_rules *rules, const char *key, struct error *err);
/* A row that waits moves on as far as it can; grants are added to the call. */
bool rules_advance(struct store_rules *rules, struct store_row *row, struct error *err);
/* The first stage that holds a new job up; *grant is what it gets when none does and it has a key. */
bool rules_first_stage(struct store_rules *rules, struct store_row *row, struct error *err);
/* After job has ended: its key goes to the next, and the next of its group may move. */
bool rules_pass_on(struct store_rules *rules, const struct job *job, struct error *err);
/* Moves jobs whose delay is over, up to max; *more when some are left. */
bool rules_pass_delays(struct store_rules *rules, size_t max, bool *more, struct error *err);

/* store_rules_admit.c */
bool rules_admit(struct store_rules *rules, struct error *err);
/* Gives a row its place at the end of the order, and writes it: a new one, or without an admission one that is accepted
 * anew. */
bool rules_accept(struct store_rules *rules, struct store_row *row, const struct store_admission *admission, bool *rejected,
	struct error *err);

/* store_rules_asked.c */
bool rules_asked(struct store_rules *rules, struct error *err);

/* store_rules_rate.c */
/* What is given of a bucket; now is clock_boot_ms() of boot_id.  Decides only. */
struct store_rate_given rules_take(struct store_bucket *bucket, const struct store_rate_ask *ask, const char *boot_id,
	int64_t now_ms);
bool rules_take_rate(struct store_rules *rules, struct error *err);

/* store_rules_outbox.c */
bool rules_say(struct store_rules *rules, struct error *err);
bool rules_claim_deliveries(struct store_rules *rules, struct error *err);
bool rules_note_deliveries(struct store_rules *rules, struct error *err);
bool rules_replay(struct store_rules *rules, struct error *err);
bool rules_prune(struct store_rules *rules, struct error *err);

/* store_rules_import.c */
bool rules_import(struct store_rules *rules, struct error *err);

/* store_rules_why.c; reads only.  *why stays NULL when there is no such job. */
bool rules_why(struct store_rows *rows, const char *id, struct store_why **why, struct error *err);

/* store_rules_owner.c */
bool rules_renew(struct store_rules *rules, struct error *err);
/* Registers on first use; call->err is ERROR_LOST when the registration is gone. */
bool rules_be_registered(struct store_rules *rules, struct error *err);
/* Releases the jobs of owners whose lease has ended. */
bool rules_reap(struct store_rules *rules, struct error *err);
/* Takes the owner off its jobs and claims, and forgets it; jobs is how many it had. */
bool rules_give_up(struct store_rules *rules, const char *owner, size_t *jobs, struct error *err);
bool rules_owner_is_dead(struct store_rules *rules, const char *owner, bool *dead, struct error *err);
bool rules_adopt(struct store_rules *rules, struct error *err);
bool rules_disown(struct store_rules *rules, struct error *err);
bool rules_sweep(struct store_rules *rules, struct error *err);

#endif
