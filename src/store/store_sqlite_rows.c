/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_rows.c - rows of jobs, bodies and attempts, and struct job. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_sqlite.h"

struct store_sqlite *store_sqlite_of(struct store_rows *rows)
{
	return container_of(rows, struct store_sqlite, rows);
}

/* The schema lets no other names in, so another one is our own mistake. */
static enum job_state column_state(sqlite3_stmt *statement, int column)
{
	enum job_state state = JOB_QUEUED;
	const char *name = (const char *)sqlite3_column_text(statement, column);

	if (name == NULL || !job_state_parse(name, &state))
		panic("store: a job is in the state \"%s\"", name != NULL ? name : "");
	return state;
}

static enum lock_policy column_policy(sqlite3_stmt *statement, int column)
{
	enum lock_policy policy = LOCK_QUEUE;
	const char *name = (const char *)sqlite3_column_text(statement, column);

	if (name == NULL || !lock_policy_parse(name, &policy))
		panic("store: a job has the lock policy \"%s\"", name != NULL ? name : "");
	return policy;
}

static void read_message(sqlite3_stmt *at, int column, struct job_message_ref *message)
{
	message->id = sql_column_text(at, column++);
	message->receipt = sql_column_text(at, column++);
	message->group = sql_column_text(at, column++);
	message->hidden_until_ms = sqlite3_column_int64(at, column++);
	message->received_ms = sqlite3_column_int64(at, column++);
	message->deliveries = (unsigned)sqlite3_column_int64(at, column++);
	message->settled = sqlite3_column_int(at, column) != 0;
}

struct store_row *store_sqlite_read_row(sqlite3_stmt *at)
{
	struct job *job = job_create();
	struct store_row *row = store_row_create(job);

	job->seq = sqlite3_column_int64(at, 0);
	job->id = sql_column_text(at, 1);
	job->project = sql_column_text(at, 2);
	job->deployer = sql_column_text(at, 3);
	job->queue = sql_column_text(at, 4);
	job->lock_key = sql_column_text(at, 5);
	job->policy = column_policy(at, 6);
	job->priority = sqlite3_column_int(at, 7);
	job->not_before_ms = sqlite3_column_int64(at, 8);
	job->commit = sql_column_text(at, 9);
	job->ref = sql_column_text(at, 10);
	job->stage = sql_column_text(at, 11);
	job->state = column_state(at, 12);
	row->wait = (enum store_wait)sqlite3_column_int(at, 13);
	row->news = (unsigned)sqlite3_column_int(at, 14);
	job->reason = sql_column_text(at, 15);
	job->detail = sql_column_text(at, 16);
	job->exit_code = sqlite3_column_int(at, 17);
	job->accepted_ms = sqlite3_column_int64(at, 18);
	job->finished_ms = sqlite3_column_int64(at, 19);
	read_message(at, 20, &job->message);
	job->attempt.number = (unsigned)sqlite3_column_int64(at, 27);
	job->attempt.step = (unsigned)sqlite3_column_int64(at, 28);
	job->owner = sql_column_text(at, 29);
	job->fence = sqlite3_column_int64(at, 30);
	job->grant = sqlite3_column_int64(at, 31);
	job->attempt.token = sql_column_text(at, 32);
	job->attempt.handle = sql_column_text(at, 33);
	job->attempt.intended_ms = sqlite3_column_int64(at, 34);
	job->attempt.started_ms = sqlite3_column_int64(at, 35);
	row->rank = sqlite3_column_int64(at, 36);
	job->failures = (unsigned)sqlite3_column_int64(at, 37);
	job->waits_for = sql_column_text(at, 38);
	job->next_try_ms = sqlite3_column_int64(at, 39);
	job->cancelled_by = sql_column_text(at, 40);
	job->cancel_reason = sql_column_text(at, 41);
	job->losses = (unsigned)sqlite3_column_int64(at, 42);
	job->attempt.timeout_ms = sqlite3_column_int64(at, 43);
	return row;
}

bool store_sqlite_one_row(struct store_sqlite *sqlite, sqlite3_stmt *statement, struct store_row **row,
	struct error *err)
{
	bool failed;

	*row = NULL;
	if (statement == NULL)
		return false;
	if (sql_step(sqlite, statement, &failed, err))
		*row = store_sqlite_read_row(statement);
	sql_done(statement);
	return !failed;
}

bool store_sqlite_all_rows(struct store_sqlite *sqlite, sqlite3_stmt *statement, struct store_row ***found,
	size_t *count, struct error *err)
{
	bool failed;

	if (statement == NULL)
		return false;
	while (sql_step(sqlite, statement, &failed, err)) {
		*found = xreallocarray(*found, *count + 1, sizeof(**found));
		(*found)[(*count)++] = store_sqlite_read_row(statement);
	}
	sql_done(statement);
	return !failed;
}

bool store_sqlite_one_integer(struct store_sqlite *sqlite, sqlite3_stmt *statement, int64_t *integer,
	struct error *err)
{
	bool failed;

	*integer = 0;
	if (statement == NULL)
		return false;
	if (sql_step(sqlite, statement, &failed, err))
		*integer = sqlite3_column_int64(statement, 0);
	sql_done(statement);
	return !failed;
}

/* Each new job is asked for, too, and one that is not there is known from the index. */
static bool find(struct store_rows *rows, const char *id, struct store_row **row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t any;

	*row = NULL;
	if (!store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_ANY_JOB, err, SQL_TEXT(id)), &any, err))
		return false;
	if (any == 0)
		return true;
	return store_sqlite_one_row(sqlite, sql_query(sqlite, SQL_JOB_BY_ID, err, SQL_TEXT(id)), row, err);
}

static bool read_whole(struct store_rows *rows, struct store_row *row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_JOB_WHOLE, err, SQL_INTEGER(row->job->seq));
	bool failed;

	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err)) {
		free(row->job->body);
		free(row->job->attempt.request);
		row->job->body = sql_column_text(at, 0);
		row->job->attempt.request = sql_column_text(at, 1);
	}
	sql_done(at);
	return !failed;
}

static bool next_seq(struct store_rows *rows, int64_t *seq, struct error *err)
{
	return store_sqlite_one_integer(store_sqlite_of(rows), sql_query_values(store_sqlite_of(rows), SQL_NEXT_SEQ, err,
		NULL, 0), seq, err);
}

bool store_sqlite_count_ended(struct store_sqlite *sqlite, enum job_state state, int more, struct error *err)
{
	return sqlite->obeys_triggers || sql_run(sqlite, SQL_COUNT_ENDED, err, SQL_TEXT(job_state_name(state)), SQL_INTEGER(more));
}

static bool insert(struct store_rows *rows, struct store_row *row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job *job = row->job;

	if (!sql_run(sqlite, SQL_INSERT_JOB, err, SQL_TEXT(job->id), SQL_TEXT(job->project), SQL_TEXT(job->deployer),
		SQL_TEXT(job->queue), SQL_TEXT(job->lock_key), SQL_TEXT(lock_policy_name(job->policy)),
		SQL_INTEGER(job->priority), SQL_INTEGER(job->not_before_ms), SQL_TEXT(job->commit), SQL_TEXT(job->ref),
		SQL_TEXT(job->stage), SQL_TEXT(job_state_name(job->state)), SQL_INTEGER(row->wait),
		SQL_INTEGER(!job_state_final(job->state)), SQL_INTEGER(store_row_is_live(row)), SQL_TEXT(job->reason),
		SQL_TEXT(job->detail), SQL_INTEGER(job->exit_code), SQL_INTEGER(job->accepted_ms),
		SQL_INTEGER(job->finished_ms), SQL_TEXT(job->message.id), SQL_TEXT(job->message.receipt),
		SQL_TEXT(job->message.group), SQL_INTEGER(job->message.hidden_until_ms),
		SQL_INTEGER(job->message.received_ms), SQL_INTEGER(job->message.deliveries),
		SQL_INTEGER(job->message.settled), SQL_TEXT(job->owner), SQL_INTEGER(job->fence),
		SQL_INTEGER(job->grant), SQL_INTEGER(job->seq), SQL_INTEGER(row->rank),
		SQL_INTEGER(job->attempt.number), SQL_INTEGER(job->attempt.step)))
		return false;
	return (job->state != JOB_LAUNCHING || store_sqlite_write_attempt(sqlite, job, err)) &&
		sql_run(sqlite, SQL_INSERT_BODY, err, SQL_INTEGER(job->seq), SQL_TEXT(job->body)) &&
		(!job_state_final(job->state) || store_sqlite_count_ended(sqlite, job->state, 1, err));
}

/* Body and attempts refer to the job by its seq, which is the row's id, and so they move along. */
static bool reopen(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job *job = row->job;

	return (sqlite->obeys_triggers || sql_run(sqlite, SQL_COUNT_REOPENED, err, SQL_TEXT(job->id))) &&
		sql_run(sqlite, SQL_REOPEN_BODY, err, SQL_TEXT(job->id), SQL_INTEGER(job->seq)) &&
		sql_run(sqlite, SQL_REOPEN_ATTEMPTS, err, SQL_TEXT(job->id), SQL_INTEGER(job->seq)) &&
		sql_run(sqlite, SQL_REOPEN, err, SQL_TEXT(job->id), SQL_INTEGER(job->seq), SQL_INTEGER(row->rank),
			SQL_INTEGER(job->not_before_ms), SQL_TEXT(job_state_name(job->state)), SQL_INTEGER(row->wait),
			SQL_INTEGER(row->news), SQL_TEXT(job->reason), SQL_TEXT(job->detail), SQL_INTEGER(job->exit_code),
			SQL_INTEGER(job->accepted_ms), SQL_INTEGER(job->finished_ms), SQL_TEXT(job->owner),
			SQL_INTEGER(job->fence), SQL_INTEGER(job->grant), SQL_INTEGER(job->failures),
			SQL_TEXT(job->waits_for), SQL_INTEGER(job->next_try_ms), SQL_TEXT(job->cancelled_by),
			SQL_TEXT(job->cancel_reason), SQL_INTEGER(job->losses)) &&
		sql_run(sqlite, SQL_NOTE_SEQ, err, SQL_INTEGER(job->seq));
}

static bool move(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	const struct job *job = row->job;

	return sql_run(store_sqlite_of(rows), SQL_MOVE, err, SQL_INTEGER(job->seq), SQL_TEXT(job_state_name(job->state)),
		SQL_INTEGER(row->wait), SQL_INTEGER(row->news), SQL_INTEGER(job->grant),
		SQL_INTEGER(job->not_before_ms), SQL_INTEGER(job->failures), SQL_TEXT(job->waits_for),
		SQL_INTEGER(job->next_try_ms), SQL_TEXT(job->cancelled_by), SQL_TEXT(job->cancel_reason),
		SQL_INTEGER(job->losses));
}

static bool end(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job *job = row->job;

	return sql_run(sqlite, SQL_END, err, SQL_INTEGER(job->seq), SQL_TEXT(job_state_name(job->state)),
		SQL_INTEGER(row->wait), SQL_INTEGER(row->news), SQL_TEXT(job->reason), SQL_TEXT(job->detail),
		SQL_INTEGER(job->exit_code), SQL_INTEGER(job->finished_ms), SQL_INTEGER(store_row_is_live(row)),
		SQL_TEXT(job->cancelled_by), SQL_TEXT(job->cancel_reason)) &&
		store_sqlite_count_ended(sqlite, job->state, 1, err);
}

static bool write_message(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	const struct job_message_ref *message = &row->job->message;

	return sql_run(store_sqlite_of(rows), SQL_MESSAGE, err, SQL_INTEGER(row->job->seq), SQL_TEXT(message->receipt),
		SQL_INTEGER(message->hidden_until_ms), SQL_INTEGER(message->received_ms),
		SQL_INTEGER(message->deliveries), SQL_INTEGER(message->settled), SQL_INTEGER(store_row_is_live(row)),
		SQL_INTEGER(row->news));
}

static bool write_owner(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_OWNER, err, SQL_INTEGER(row->job->seq), SQL_TEXT(row->job->owner),
		SQL_INTEGER(row->job->fence), SQL_INTEGER(row->news));
}

bool store_sqlite_write_attempt(struct store_sqlite *sqlite, const struct job *job, struct error *err)
{
	const struct job_attempt *attempt = &job->attempt;

	return sql_run(sqlite, SQL_BEGIN_ATTEMPT, err, SQL_INTEGER(job->seq), SQL_INTEGER(attempt->number),
		SQL_INTEGER(attempt->step), SQL_TEXT(attempt->token), SQL_TEXT(attempt->request), SQL_TEXT(attempt->handle),
		SQL_INTEGER(attempt->intended_ms), SQL_INTEGER(attempt->started_ms), SQL_INTEGER(attempt->timeout_ms));
}

bool store_sqlite_start_attempt(struct store_sqlite *sqlite, const struct job *job, struct error *err)
{
	const struct job_attempt *attempt = &job->attempt;

	return sql_run(sqlite, SQL_START_ATTEMPT, err, SQL_INTEGER(job->seq), SQL_INTEGER(attempt->number),
		SQL_INTEGER(attempt->step), SQL_TEXT(attempt->handle), SQL_INTEGER(attempt->started_ms));
}

bool store_sqlite_end_attempt(struct store_sqlite *sqlite, const struct job *job, const struct store_attempt_end *end,
	struct error *err)
{
	return sql_run(sqlite, SQL_END_ATTEMPT, err, SQL_INTEGER(job->seq), SQL_INTEGER(job->attempt.number),
		SQL_INTEGER(job->attempt.step), SQL_TEXT(end->reason), SQL_INTEGER(end->at_ms), SQL_INTEGER(end->exit_code));
}

static bool begin_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job_attempt *attempt = &row->job->attempt;

	return store_sqlite_write_attempt(sqlite, row->job, err) &&
		sql_run(sqlite, SQL_CURRENT_ATTEMPT, err, SQL_INTEGER(row->job->seq), SQL_INTEGER(attempt->number),
			SQL_INTEGER(attempt->step));
}

static bool start_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	return store_sqlite_start_attempt(store_sqlite_of(rows), row->job, err);
}

static bool end_attempt(struct store_rows *rows, const struct store_row *row, const struct store_attempt_end *end,
	struct error *err)
{
	return store_sqlite_end_attempt(store_sqlite_of(rows), row->job, end, err);
}

/* -- what may be forgotten ----------------------------------------------------------------------- */

static bool ended(struct store_rows *rows, const struct store_pruned *pruned, size_t max, struct store_row ***found,
	size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_all_rows(sqlite, sql_query(sqlite, SQL_ENDED, err, SQL_INTEGER(pruned->after_ms),
		SQL_INTEGER(pruned->after_seq), SQL_INTEGER(pruned->older_than_ms), SQL_INTEGER((int64_t)max)), found, count,
		err);
}

static bool forget(struct store_rows *rows, const struct store_row *row, int64_t dead_before_ms, bool *gone,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct job *job = row->job;
	int64_t untold = 0;

	*gone = false;
	if (!store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_UNTOLD, err, SQL_TEXT(job->id),
		SQL_INTEGER(dead_before_ms)), &untold, err))
		return false;
	if (untold != 0)
		return true;
	*gone = true;
	return sql_run(sqlite, SQL_FORGET_DELIVERIES, err, SQL_TEXT(job->id)) &&
		sql_run(sqlite, SQL_FORGET_ATTEMPTS, err, SQL_INTEGER(job->seq)) &&
		sql_run(sqlite, SQL_FORGET_BODY, err, SQL_INTEGER(job->seq)) &&
		sql_run(sqlite, SQL_FORGET_JOB, err, SQL_INTEGER(job->seq)) &&
		store_sqlite_count_ended(sqlite, job->state, -1, err);
}

void store_sqlite_rows_ops(struct store_rows_ops *ops)
{
	ops->find = find;
	ops->read_whole = read_whole;
	ops->next_seq = next_seq;
	ops->insert = insert;
	ops->reopen = reopen;
	ops->move = move;
	ops->end = end;
	ops->write_message = write_message;
	ops->write_owner = write_owner;
	ops->begin_attempt = begin_attempt;
	ops->start_attempt = start_attempt;
	ops->end_attempt = end_attempt;
	ops->ended = ended;
	ops->forget = forget;
}
