/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_fault.c - faults: recorded once, claimed for a while, published; and crashes of workers. */
#include "store/store_sqlite.h"

static bool add_fault(struct store_rows *rows, const struct store_fault *fault, const char *dedup_key,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_ADD_FAULT, err, SQL_INTEGER(fault->at_ms), SQL_TEXT(fault->kind),
		SQL_TEXT(fault->job_id), SQL_TEXT(fault->project), SQL_TEXT(fault->queue), SQL_TEXT(fault->text),
		SQL_TEXT(fault->body), SQL_TEXT(dedup_key));
}

static void read_fault(sqlite3_stmt *at, struct store_call *call)
{
	const struct store_fault lent = {
		.id = sqlite3_column_int64(at, 0),
		.at_ms = sqlite3_column_int64(at, 1),
		.kind = (const char *)sqlite3_column_text(at, 2),
		.job_id = (const char *)sqlite3_column_text(at, 3),
		.project = (const char *)sqlite3_column_text(at, 4),
		.queue = (const char *)sqlite3_column_text(at, 5),
		.text = (const char *)sqlite3_column_text(at, 6),
		.body = (const char *)sqlite3_column_text(at, 7),
	};

	store_call_add_fault(call, &lent);
}

static bool claim_faults(struct store_rows *rows, size_t max, const struct store_owner *now,
	const struct store_owner *until, struct store_call *call, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_UNPUBLISHED_FAULTS, err, SQL_TEXT(now->boot_id),
		SQL_INTEGER(now->lease_until_ms), SQL_INTEGER((int64_t)max));
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err))
		read_fault(at, call);
	sql_done(at);
	for (size_t i = 0; !failed && i < call->fault_count; i++)
		failed = !sql_run(sqlite, SQL_CLAIM_FAULT, err, SQL_INTEGER(call->faults[i].id), SQL_TEXT(until->boot_id),
			SQL_INTEGER(until->lease_until_ms));
	return !failed;
}

static bool fault_published(struct store_rows *rows, int64_t id, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_FAULT_PUBLISHED, err, SQL_INTEGER(id));
}

static bool add_crash(struct store_rows *rows, const char *key, const char *owner, int64_t at_ms, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_ADD_CRASH, err, SQL_TEXT(key), SQL_TEXT(owner), SQL_INTEGER(at_ms));
}

static bool count_crashes(struct store_rows *rows, const char *key, unsigned *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t crashes;
	bool ok = store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_COUNT_CRASHES, err, SQL_TEXT(key)), &crashes, err);

	*count = (unsigned)crashes;
	return ok;
}

static bool forget_crashes(struct store_rows *rows, const char *key, int64_t older_than_ms, struct error *err)
{
	if (key != NULL)
		return sql_run(store_sqlite_of(rows), SQL_FORGET_CRASHES_OF, err, SQL_TEXT(key));
	return sql_run(store_sqlite_of(rows), SQL_FORGET_OLD_CRASHES, err, SQL_INTEGER(older_than_ms));
}

void store_sqlite_fault_ops(struct store_rows_ops *ops)
{
	ops->add_fault = add_fault;
	ops->claim_faults = claim_faults;
	ops->fault_published = fault_published;
	ops->add_crash = add_crash;
	ops->count_crashes = count_crashes;
	ops->forget_crashes = forget_crashes;
}
