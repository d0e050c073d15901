/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_ours.c - the usual moves of an owner's job: one statement asks whether the row is as usual and moves it.
 *
 * To look at a row before costs as much as to change it, and nearly always it is what its owner believes it is.
 * Where it is not, the statement finds no row, and store_rules.c looks. */
#include "store/store_rules.h"
#include "store/store_sqlite.h"

/* Runs a statement that names the row by its first values; *moved: there was one. */
static bool try(struct store_sqlite *sqlite, enum sql which, const struct sql_value *values, size_t count, bool *moved,
	struct error *err)
{
	bool ok = sql_run_values(sqlite, which, err, values, count);

	*moved = ok && sqlite3_changes(sqlite->db) > 0;
	return ok;
}

#define OURS(owner, job) \
	SQL_INTEGER((job)->seq), SQL_TEXT((job)->id), SQL_TEXT(owner), SQL_INTEGER((job)->fence)
#define ATTEMPT(job) SQL_INTEGER((job)->attempt.number), SQL_INTEGER((job)->attempt.step)

static bool intend_ours(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return try(sqlite, SQL_INTEND_OURS, SQL_VALUES(OURS(owner, mine), ATTEMPT(mine)), moved, err) &&
		(!*moved || store_sqlite_write_attempt(sqlite, mine, err));
}

static bool start_ours(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return try(sqlite, SQL_START_OURS, SQL_VALUES(OURS(owner, mine), ATTEMPT(mine)), moved, err) &&
		(!*moved || store_sqlite_start_attempt(sqlite, mine, err));
}

static bool finish_ours(struct store_rows *rows, const char *owner, const struct job *mine, int64_t now_ms, bool *moved,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const char *state = job_state_name(mine->state);
	const struct store_attempt_end end = {
		.reason = mine->reason != NULL ? mine->reason : state, .exit_code = mine->exit_code, .at_ms = now_ms,
	};

	*moved = false;
	/* What has no message left ends for good by it, which the statement doesn't see to. */
	if (mine->message.settled || !job_state_may_move(JOB_RUNNING, mine->state))
		return true;
	return try(sqlite, SQL_FINISH_OURS, SQL_VALUES(OURS(owner, mine), ATTEMPT(mine), SQL_TEXT(state),
			SQL_TEXT(mine->reason), SQL_TEXT(mine->detail), SQL_INTEGER(mine->exit_code), SQL_INTEGER(now_ms),
			SQL_TEXT(rules_needs_key(mine) ? mine->lock_key : ""), SQL_INTEGER(mine->grant)), moved, err) &&
		(!*moved || (store_sqlite_end_attempt(sqlite, mine, &end, err) &&
			store_sqlite_count_ended(sqlite, mine->state, 1, err)));
}

static bool note_ours(struct store_rows *rows, const char *owner, const struct job *mine, bool *moved,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job_message_ref *message = &mine->message;

	if (message->settled)
		return try(sqlite, SQL_SETTLE_OURS, SQL_VALUES(OURS(owner, mine), SQL_INTEGER(message->hidden_until_ms),
			SQL_INTEGER(message->received_ms), SQL_INTEGER(message->deliveries)), moved, err);
	return try(sqlite, SQL_HIDE_OURS, SQL_VALUES(OURS(owner, mine), SQL_INTEGER(message->hidden_until_ms),
		SQL_INTEGER(message->received_ms), SQL_INTEGER(message->deliveries), SQL_TEXT(message->receipt)),
		moved, err);
}

void store_sqlite_ours_ops(struct store_rows_ops *ops)
{
	ops->intend_ours = intend_ours;
	ops->start_ours = start_ours;
	ops->finish_ours = finish_ours;
	ops->note_ours = note_ours;
}
