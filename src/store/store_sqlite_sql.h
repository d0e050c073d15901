/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_sql.h - every statement of the SQLite store, prepared once and bound by type.
 *
 * They stand in one table so that a test can ask the planner about each of them. */
#ifndef STORE_STORE_SQLITE_SQL_H
#define STORE_STORE_SQLITE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sql {
	SQL_BEGIN, SQL_BEGIN_READ, SQL_COMMIT, SQL_ROLLBACK, SQL_SAVEPOINT, SQL_ROLLBACK_TO, SQL_RELEASE_SAVEPOINT,
	SQL_VERSION, SQL_ANY_JOB, SQL_JOB_BY_ID, SQL_JOB_WHOLE, SQL_NEXT_SEQ, SQL_NOTE_SEQ, SQL_INSERT_JOB, SQL_INSERT_BODY,
	SQL_COUNT_ENDED, SQL_COUNT_REOPENED, SQL_MOVE, SQL_END, SQL_MESSAGE, SQL_OWNER,
	SQL_INTEND_OURS, SQL_START_OURS, SQL_FINISH_OURS, SQL_SETTLE_OURS, SQL_HIDE_OURS,
	SQL_REOPEN_BODY, SQL_REOPEN_ATTEMPTS, SQL_REOPEN,
	SQL_CURRENT_ATTEMPT, SQL_BEGIN_ATTEMPT, SQL_START_ATTEMPT, SQL_END_ATTEMPT, SQL_ATTEMPTS,
	SQL_ANY_WAITER, SQL_NEXT_WAITER, SQL_GROUP_HEAD, SQL_ANY_WAITING, SQL_NEXT_DUE, SQL_DUE_TIME,
	SQL_COUNT_AHEAD, SQL_COUNT_GROUP_AHEAD,
	SQL_READ_LOCK, SQL_WRITE_LOCK, SQL_FREE_LOCK, SQL_HELD_LOCKS,
	SQL_READ_OWNER, SQL_WRITE_OWNER, SQL_REMOVE_OWNER, SQL_DEAD_OWNER,
	SQL_RELEASE, SQL_UNOWNED, SQL_WITH_NEWS,
	SQL_ADD_CRASH, SQL_ANY_CRASH, SQL_COUNT_CRASHES, SQL_FORGET_CRASHES_OF, SQL_FORGET_OLD_CRASHES,
	SQL_READ_BUCKET, SQL_WRITE_BUCKET,
	SQL_WAS_SAID, SQL_ADD_DELIVERY, SQL_DUE_DELIVERIES, SQL_CLAIM_DELIVERY, SQL_FREE_CLAIMS, SQL_WRITE_DELIVERY, SQL_DELIVERY_TIME,
	SQL_REVIVE_ONE, SQL_REVIVE_ALL, SQL_DELIVERIES, SQL_OPEN_DELIVERIES, SQL_JOB_DELIVERIES,
	SQL_ENDED, SQL_UNTOLD, SQL_FORGET_JOB, SQL_FORGET_BODY, SQL_FORGET_ATTEMPTS, SQL_FORGET_DELIVERIES,
	SQL_FORGET_JOBLESS,
	SQL_COUNT, SQL_TOTALS, SQL_LIST, SQL_LIST_PROJECT, SQL_LIST_OPEN, SQL_LIST_FINAL,
	SQL_STATEMENTS
};

/* The text of a statement. */
const char *sql_text(enum sql which);

struct sql_value {
	enum sql_type { SQL_TYPE_INTEGER, SQL_TYPE_TEXT, SQL_TYPE_REAL } type;
	const char *text;               /* NULL is SQL's NULL; must live until the statement is reset */
	int64_t integer;
	double real;
};
#define SQL_TEXT(value) { .type = SQL_TYPE_TEXT, .text = (value) }
#define SQL_INTEGER(value) { .integer = (value) }
#define SQL_REAL(value) { .type = SQL_TYPE_REAL, .real = (value) }

struct store_sqlite;

/* Binds and readies a query for sql_step(); to be reset with sql_done().  NULL on failure. */
sqlite3_stmt *sql_query_values(struct store_sqlite *sqlite, enum sql which, struct error *err,
	const struct sql_value *values, size_t count);
/* Binds and runs a statement that gives no rows. */
bool sql_run_values(struct store_sqlite *sqlite, enum sql which, struct error *err,
	const struct sql_value *values, size_t count);
/* As above, with the values in a row; at least one. */
#define sql_query(sqlite, which, err, ...) sql_query_values(sqlite, which, err, SQL_VALUES(__VA_ARGS__))
#define sql_run(sqlite, which, err, ...) sql_run_values(sqlite, which, err, SQL_VALUES(__VA_ARGS__))
#define SQL_VALUES(...) ((const struct sql_value[]){ __VA_ARGS__ }), \
	(sizeof((const struct sql_value[]){ __VA_ARGS__ }) / sizeof(struct sql_value))

/* True on a row; false at the end and on failure, which sets *failed and err. */
bool sql_step(struct store_sqlite *sqlite, sqlite3_stmt *statement, bool *failed, struct error *err);
void sql_done(sqlite3_stmt *statement);
/* Forgets what was prepared; what is needed again is prepared again. */
void sql_finish(struct store_sqlite *sqlite);

/* A copy of a column's text, or NULL. */
char *sql_column_text(sqlite3_stmt *statement, int column);

#endif
