/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_sql.c - see store_sqlite_sql.h.
 *
 * OR FAIL, in what each job passes through and a trigger may follow: otherwise SQLite copies each page before it
 * is changed, to take back alone a statement that fails halfway.  Here all of its transaction is taken back, or all
 * since a savepoint.
 *
 * The conditions on wait, live, open and news are written as literals since the planner uses a
 * partial index only where it can see its condition. */
#include "store/store_sqlite_sql.h"

#include "base/mem.h"
#include "store/store_sqlite.h"

/* The columns that store_sqlite_read_row() reads, in its order.  With each bare column a statement keeps the names of
 * its database, its table and its like, 11 KB for these; hence the signs, which change no value. */
#define ROW \
	"SELECT +j.seq, +j.id, +j.project, +j.deployer, +j.queue, +j.lock_key, +j.policy, +j.priority, +j.not_before_ms," \
	" +j.commit_hash, +j.ref, +j.stage, +j.state, +j.wait, +j.news, +j.reason, +j.detail, +j.exit_code, +j.accepted_ms," \
	" +j.finished_ms, +j.message_id, +j.receipt, +j.message_group, +j.hidden_until_ms, +j.received_ms, +j.deliveries," \
	" +j.settled, +j.attempt, +j.step, +j.owner, +j.fence, +j.lock_grant, +a.token, +a.handle, +a.intended_ms, +a.started_ms," \
	" +j.rank, +j.failures, +j.waits_for, +j.next_try_ms, +j.cancelled_by, +j.cancel_reason, +j.losses, +a.timeout_ms" \
	" FROM jobs j LEFT JOIN attempts a ON a.job = j.seq AND a.number = j.attempt AND a.step = j.step "

/* The row that its owner means: by place, as that is found at once, and by all that makes it the owner's. */
#define OURS " WHERE seq = ?1 AND id = ?2 AND owner = ?3 AND fence = ?4 AND "

#define DELIVERY \
	"SELECT id, sink, event, job_id, payload, created_ms, next_try_ms, tries, error, dead FROM outbox "

static const char *const texts[SQL_STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_BEGIN_READ] = "BEGIN",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_SAVEPOINT] = "SAVEPOINT one",
	[SQL_ROLLBACK_TO] = "ROLLBACK TO one",
	[SQL_RELEASE_SAVEPOINT] = "RELEASE one",

	[SQL_VERSION] = "PRAGMA user_version",
	[SQL_ANY_JOB] = "SELECT 1 FROM jobs WHERE id = ?1",
	[SQL_JOB_BY_ID] = ROW "WHERE j.id = ?1",
	[SQL_JOB_WHOLE] = "SELECT b.body, a.request FROM jobs j LEFT JOIN bodies b ON b.job = j.seq"
		" LEFT JOIN attempts a ON a.job = j.seq AND a.number = j.attempt AND a.step = j.step WHERE j.seq = ?1",
	/* One row for each of a few tables. */
	[SQL_NEXT_SEQ] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0) + 1",
	[SQL_NOTE_SEQ] = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'jobs'",
	[SQL_INSERT_JOB] = "INSERT OR FAIL INTO jobs (id, project, deployer, queue, lock_key, policy, priority, not_before_ms,"
		" commit_hash, ref, stage, state, wait, open, live, reason, detail, exit_code, accepted_ms, finished_ms,"
		" message_id, receipt, message_group, hidden_until_ms, received_ms, deliveries, settled, owner, fence,"
		" lock_grant, seq, rank, attempt, step) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
		" ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34)",
	[SQL_INSERT_BODY] = "INSERT INTO bodies (job, body) VALUES (?1, ?2)",
	[SQL_COUNT_ENDED] = "UPDATE ended SET jobs = jobs + ?2 WHERE state = ?1",
	[SQL_COUNT_REOPENED] = "UPDATE ended SET jobs = jobs - 1 WHERE state = (SELECT state FROM jobs WHERE id = ?1)",
	[SQL_MOVE] = "UPDATE jobs SET state = ?2, wait = ?3, news = ?4, lock_grant = ?5, not_before_ms = ?6,"
		" failures = ?7, waits_for = ?8, next_try_ms = ?9, cancelled_by = ?10, cancel_reason = ?11, losses = ?12"
		" WHERE seq = ?1",
	[SQL_END] = "UPDATE jobs SET state = ?2, wait = ?3, news = ?4, reason = ?5, detail = ?6, exit_code = ?7,"
		" finished_ms = ?8, open = 0, live = ?9, waits_for = NULL, next_try_ms = 0, cancelled_by = ?10,"
		" cancel_reason = ?11 WHERE seq = ?1",
	[SQL_MESSAGE] = "UPDATE jobs SET receipt = ?2, hidden_until_ms = ?3, received_ms = ?4, deliveries = ?5,"
		" settled = ?6, live = ?7, news = ?8 WHERE seq = ?1",
	[SQL_OWNER] = "UPDATE jobs SET owner = ?2, fence = ?3, news = ?4 WHERE seq = ?1",

	/* What a column gets is not named where it has that already: an index is looked at for each column of it that is. */
	[SQL_INTEND_OURS] = "UPDATE jobs SET state = 'launching', news = 0, waits_for = NULL, next_try_ms = 0, attempt = ?5,"
		" step = ?6" OURS "state = 'queued' AND news <= 1",
	[SQL_START_OURS] = "UPDATE jobs SET state = 'running', waits_for = NULL, next_try_ms = 0" OURS
		"state = 'launching' AND attempt = ?5 AND step = ?6",
	[SQL_FINISH_OURS] = "UPDATE OR FAIL jobs SET state = ?7, reason = ?8, detail = ?9, exit_code = ?10, finished_ms = ?11,"
		" open = 0, waits_for = NULL, next_try_ms = 0" OURS "state = 'running' AND attempt = ?5 AND step = ?6"
		" AND news = 0 AND settled = 0 AND message_group IS NULL AND lock_key = ?12 AND lock_grant = ?13",
	[SQL_SETTLE_OURS] = "UPDATE jobs SET receipt = NULL, hidden_until_ms = ?5, received_ms = ?6, deliveries = ?7,"
		" settled = 1, live = 0" OURS "open = 0 AND settled = 0 AND received_ms <= ?6",
	[SQL_HIDE_OURS] = "UPDATE jobs SET hidden_until_ms = ?5, received_ms = ?6, deliveries = ?7, receipt = ?8" OURS
		"settled = 0 AND received_ms <= ?6",

	[SQL_REOPEN_BODY] = "UPDATE bodies SET job = ?2 WHERE job = (SELECT seq FROM jobs WHERE id = ?1)",
	[SQL_REOPEN_ATTEMPTS] = "UPDATE attempts SET job = ?2 WHERE job = (SELECT seq FROM jobs WHERE id = ?1)",
	[SQL_REOPEN] = "UPDATE jobs SET seq = ?2, rank = ?3, not_before_ms = ?4, state = ?5, wait = ?6, news = ?7,"
		" open = 1, live = 1, reason = ?8, detail = ?9, exit_code = ?10, accepted_ms = ?11, finished_ms = ?12,"
		" owner = ?13, fence = ?14, lock_grant = ?15, failures = ?16, waits_for = ?17, next_try_ms = ?18,"
		" cancelled_by = ?19, cancel_reason = ?20, losses = ?21 WHERE id = ?1",

	[SQL_CURRENT_ATTEMPT] = "UPDATE jobs SET attempt = ?2, step = ?3 WHERE seq = ?1",
	[SQL_BEGIN_ATTEMPT] = "INSERT INTO attempts (job, number, step, token, request, handle, intended_ms, started_ms,"
		" timeout_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (job, number, step) DO UPDATE SET"
		" token = ?4, request = ?5, handle = ?6, intended_ms = ?7, started_ms = ?8, timeout_ms = ?9, ended_ms = 0,"
		" end_reason = NULL, exit_code = -1",
	[SQL_START_ATTEMPT] = "UPDATE attempts SET handle = ?4, started_ms = ?5 WHERE job = ?1 AND number = ?2 AND step = ?3",
	[SQL_END_ATTEMPT] = "UPDATE attempts SET request = NULL, end_reason = ?4, ended_ms = ?5, exit_code = ?6"
		" WHERE job = ?1 AND number = ?2 AND step = ?3",

	[SQL_ATTEMPTS] = "SELECT number, step, handle, intended_ms, started_ms, ended_ms, exit_code, end_reason"
		" FROM attempts WHERE job = (SELECT seq FROM jobs WHERE id = ?1) ORDER BY number, step",

	[SQL_ANY_WAITER] = "SELECT 1 FROM jobs WHERE lock_key = ?1 AND wait = 3 LIMIT 1",
	[SQL_NEXT_WAITER] = ROW "WHERE j.lock_key = ?1 AND j.wait = 3 ORDER BY j.rank, j.seq LIMIT 1",
	[SQL_GROUP_HEAD] = ROW "WHERE j.queue = ?1 AND j.message_group = ?2 AND j.open = 1 ORDER BY j.seq LIMIT 1",
	[SQL_ANY_WAITING] = ROW "WHERE j.lock_key = ?1 AND j.deployer = ?2 AND j.wait > 0 LIMIT 1",
	[SQL_NEXT_DUE] = ROW "WHERE j.wait = 1 AND j.not_before_ms <= ?1 ORDER BY j.not_before_ms, j.seq LIMIT 1",
	[SQL_DUE_TIME] = "SELECT min(not_before_ms) FROM jobs WHERE wait = 1",

	[SQL_COUNT_AHEAD] = "SELECT count(*) FROM jobs WHERE lock_key = ?1 AND wait = 3 AND (rank, seq) < (?2, ?3)",
	[SQL_COUNT_GROUP_AHEAD] = "SELECT count(*) FROM jobs WHERE queue = ?1 AND message_group = ?2 AND open = 1"
		" AND seq < ?3",

	[SQL_READ_LOCK] = "SELECT holder, last_grant, since_ms FROM locks WHERE key = ?1",
	[SQL_WRITE_LOCK] = "INSERT INTO locks (key, holder, last_grant, since_ms) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT (key) DO UPDATE SET holder = ?2, last_grant = ?3, since_ms = ?4",
	[SQL_FREE_LOCK] = "UPDATE locks SET holder = NULL WHERE key = ?1 AND last_grant = ?2 AND holder IS NOT NULL",
	[SQL_HELD_LOCKS] = "SELECT l.key, l.holder, (SELECT j.project FROM jobs j WHERE j.id = l.holder), l.last_grant,"
		" l.since_ms, (SELECT count(*) FROM jobs w WHERE w.lock_key = l.key AND w.wait = 3)"
		" FROM locks l WHERE l.holder IS NOT NULL AND l.key > ?1 ORDER BY l.key LIMIT ?2",

	[SQL_READ_OWNER] = "SELECT boot_id, lease_until_ms FROM owners WHERE id = ?1",
	[SQL_WRITE_OWNER] = "INSERT INTO owners (id, boot_id, lease_until_ms, registered_ms) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT (id) DO UPDATE SET boot_id = ?2, lease_until_ms = ?3",
	[SQL_REMOVE_OWNER] = "DELETE FROM owners WHERE id = ?1",
	/* As many rows as there are workers. */
	[SQL_DEAD_OWNER] = "SELECT id FROM owners WHERE id <> ?1 AND (boot_id <> ?2 OR lease_until_ms <= ?3) LIMIT 1",
	[SQL_RELEASE] = "UPDATE jobs SET owner = NULL WHERE owner = ?1 AND live = 1",
	[SQL_UNOWNED] = ROW "WHERE j.owner IS NULL AND j.live = 1 ORDER BY j.seq LIMIT ?1",
	[SQL_WITH_NEWS] = ROW "WHERE j.owner = ?1 AND j.news > 0 ORDER BY j.seq LIMIT ?2",

	[SQL_ADD_CRASH] = "INSERT INTO crashes (key, owner, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
	[SQL_ANY_CRASH] = "SELECT 1 FROM crashes LIMIT 1",
	[SQL_COUNT_CRASHES] = "SELECT count(*) FROM crashes WHERE key = ?1",
	[SQL_FORGET_CRASHES_OF] = "DELETE FROM crashes WHERE key = ?1",
	[SQL_FORGET_OLD_CRASHES] = "DELETE FROM crashes WHERE at_ms < ?1",

	[SQL_READ_BUCKET] = "SELECT boot_id, tokens, per_s, filled_ms, halved_ms, raised_ms, short_of FROM rates"
		" WHERE bucket = ?1",
	[SQL_WRITE_BUCKET] = "INSERT INTO rates (bucket, boot_id, tokens, per_s, filled_ms, halved_ms, raised_ms, short_of)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (bucket) DO UPDATE SET boot_id = ?2, tokens = ?3,"
		" per_s = ?4, filled_ms = ?5, halved_ms = ?6, raised_ms = ?7, short_of = ?8",

	[SQL_WAS_SAID] = "SELECT 1 FROM outbox WHERE dedup_key = ?1 LIMIT 1",
	[SQL_ADD_DELIVERY] = "INSERT INTO outbox (sink, event, job_id, created_ms, next_try_ms, tries, open, dead, error,"
		" dedup_key, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[SQL_DUE_DELIVERIES] = DELIVERY "WHERE open = 1 AND dead = 0 AND next_try_ms <= ?1 ORDER BY next_try_ms, id"
		" LIMIT ?2",
	[SQL_CLAIM_DELIVERY] = "UPDATE outbox SET claimed_by = ?2, next_try_ms = ?3 WHERE id = ?1",
	[SQL_FREE_CLAIMS] = "UPDATE outbox SET claimed_by = NULL, next_try_ms = ?2 WHERE claimed_by = ?1",
	[SQL_WRITE_DELIVERY] = "UPDATE outbox SET next_try_ms = ?2, tries = ?3, open = ?4, dead = ?5, error = ?6,"
		" claimed_by = CASE WHEN ?8 THEN claimed_by END WHERE id = ?1 AND claimed_by = ?7",
	[SQL_DELIVERY_TIME] = "SELECT min(next_try_ms) FROM outbox WHERE open = 1 AND dead = 0",
	[SQL_REVIVE_ONE] = "UPDATE outbox SET dead = 0, tries = 0, next_try_ms = ?2 WHERE id = ?1 AND dead = 1",
	[SQL_REVIVE_ALL] = "UPDATE outbox SET dead = 0, tries = 0, next_try_ms = ?1 WHERE dead = 1",
	[SQL_DELIVERIES] = DELIVERY "WHERE id > ?1 ORDER BY id LIMIT ?2",
	[SQL_OPEN_DELIVERIES] = DELIVERY "WHERE open = 1 AND id > ?1 ORDER BY id LIMIT ?2",
	[SQL_JOB_DELIVERIES] = DELIVERY "WHERE job_id = ?3 AND id > ?1 AND (?4 = 0 OR +open = 1) ORDER BY id LIMIT ?2",

	[SQL_ENDED] = ROW "WHERE j.live = 0 AND (j.finished_ms, j.seq) > (?1, ?2) AND j.finished_ms < ?3"
		" ORDER BY j.finished_ms, j.seq LIMIT ?4",
	[SQL_UNTOLD] = "SELECT 1 FROM outbox WHERE job_id = ?1 AND +open = 1 AND (+dead = 0 OR next_try_ms >= ?2) LIMIT 1",
	[SQL_FORGET_JOB] = "DELETE FROM jobs WHERE seq = ?1",
	[SQL_FORGET_BODY] = "DELETE FROM bodies WHERE job = ?1",
	[SQL_FORGET_ATTEMPTS] = "DELETE FROM attempts WHERE job = ?1",
	[SQL_FORGET_DELIVERIES] = "DELETE FROM outbox WHERE job_id = ?1",
	[SQL_FORGET_JOBLESS] = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE job_id IS NULL"
		" AND created_ms < ?1 AND (+open = 0 OR created_ms < ?2) ORDER BY created_ms LIMIT ?3)",

	/* A view: who has ended is counted already, who is open is counted along an index. */
	[SQL_COUNT] = "SELECT state, jobs FROM counts",
	/* An index each, of no more entries than are counted or under way. */
	[SQL_TOTALS] = "SELECT (SELECT count(*) FROM locks WHERE holder IS NOT NULL AND key > ''),"
		" (SELECT count(*) FROM jobs WHERE wait = 3 AND lock_key > ''),"
		" (SELECT count(*) FROM outbox WHERE open = 1 AND dead = 0 AND next_try_ms >= 0),"
		" (SELECT count(*) FROM outbox WHERE dead = 1),"
		" (SELECT accepted_ms FROM jobs WHERE open = 1 AND state = 'queued' ORDER BY seq LIMIT 1),"
		" (SELECT accepted_ms FROM jobs WHERE open = 1 AND state = 'waiting' ORDER BY seq LIMIT 1)",
	[SQL_LIST] = ROW "WHERE j.seq < ?1 AND (?2 IS NULL OR j.project = ?2) AND (?3 IS NULL OR j.deployer = ?3)"
		" AND (?4 IS NULL OR j.state = ?4) ORDER BY j.seq DESC LIMIT ?5",
	[SQL_LIST_PROJECT] = ROW "WHERE j.seq < ?1 AND j.project = ?2 AND (?3 IS NULL OR j.deployer = ?3)"
		" AND (?4 IS NULL OR +j.state = ?4) ORDER BY j.seq DESC LIMIT ?5",
	[SQL_LIST_OPEN] = ROW "WHERE j.open = 1 AND j.seq < ?1 AND (?2 IS NULL OR +j.project = ?2)"
		" AND (?3 IS NULL OR j.deployer = ?3) AND j.state = ?4 ORDER BY j.seq DESC LIMIT ?5",
	[SQL_LIST_FINAL] = ROW "WHERE j.open = 0 AND j.seq < ?1 AND (?2 IS NULL OR +j.project = ?2)"
		" AND (?3 IS NULL OR j.deployer = ?3) AND j.state = ?4 ORDER BY j.seq DESC LIMIT ?5",
};

const char *sql_text(enum sql which)
{
	return texts[which];
}

static int bind_one(sqlite3_stmt *statement, int place, const struct sql_value *value)
{
	switch (value->type) {
	case SQL_TYPE_INTEGER: return sqlite3_bind_int64(statement, place, value->integer);
	case SQL_TYPE_TEXT: return sqlite3_bind_text(statement, place, value->text, -1, SQLITE_STATIC);
	case SQL_TYPE_REAL: return sqlite3_bind_double(statement, place, value->real);
	}
	return SQLITE_MISUSE;
}

static bool bind(sqlite3_stmt *statement, const struct sql_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bind_one(statement, (int)i + 1, &values[i]) != SQLITE_OK)
			return false;
	}
	return true;
}

sqlite3_stmt *sql_query_values(struct store_sqlite *sqlite, enum sql which, struct error *err,
	const struct sql_value *values, size_t count)
{
	sqlite3_stmt **statement = &sqlite->prepared[which];

	if (*statement == NULL && sqlite3_prepare_v3(sqlite->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		statement, NULL) != SQLITE_OK) {
		store_sqlite_error(sqlite, err, "cannot prepare a statement");
		return NULL;
	}
	if (!bind(*statement, values, count)) {
		store_sqlite_error(sqlite, err, "cannot bind a value");
		sql_done(*statement);
		return NULL;
	}
	return *statement;
}

bool sql_step(struct store_sqlite *sqlite, sqlite3_stmt *statement, bool *failed, struct error *err)
{
	int code = sqlite3_step(statement);

	*failed = code != SQLITE_ROW && code != SQLITE_DONE;
	if (*failed)
		store_sqlite_error(sqlite, err, sqlite3_stmt_readonly(statement) ? "cannot read" : "cannot write");
	return code == SQLITE_ROW;
}

/* The texts that were bound are not looked at again: whoever uses the statement next binds all of its values anew. */
void sql_done(sqlite3_stmt *statement)
{
	/* Its code repeats what sql_step() has told. */
	sqlite3_reset(statement);
}

bool sql_run_values(struct store_sqlite *sqlite, enum sql which, struct error *err,
	const struct sql_value *values, size_t count)
{
	sqlite3_stmt *statement = sql_query_values(sqlite, which, err, values, count);
	bool failed;

	if (statement == NULL)
		return false;
	sql_step(sqlite, statement, &failed, err);
	sql_done(statement);
	return !failed;
}

void sql_finish(struct store_sqlite *sqlite)
{
	for (int i = 0; i < SQL_STATEMENTS; i++) {
		sqlite3_finalize(sqlite->prepared[i]);
		sqlite->prepared[i] = NULL;
	}
}

char *sql_column_text(sqlite3_stmt *statement, int column)
{
	return xstrdup((const char *)sqlite3_column_text(statement, column));
}
