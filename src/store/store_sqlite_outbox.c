/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_outbox.c - deliveries: said once, claimed for a while, kept with their job. */
#include "base/mem.h"
#include "store/store_sqlite.h"

static bool was_said(struct store_rows *rows, const char *dedup_key, bool *said, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t found;
	bool ok = store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_WAS_SAID, err, SQL_TEXT(dedup_key)), &found, err);

	*said = found != 0;
	return ok;
}

static bool add_delivery(struct store_rows *rows, const struct store_delivery *delivery, const char *dedup_key,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_ADD_DELIVERY, err, SQL_TEXT(delivery->sink), SQL_TEXT(delivery->event),
		SQL_TEXT(delivery->job_id), SQL_INTEGER(delivery->created_ms), SQL_INTEGER(delivery->next_try_ms),
		SQL_INTEGER(delivery->tries), SQL_INTEGER(store_delivery_is_open(delivery)), SQL_INTEGER(delivery->dead),
		SQL_TEXT(delivery->error), SQL_TEXT(dedup_key), SQL_TEXT(delivery->payload));
}

/* The texts are the statement's until its next step. */
static struct store_delivery read_delivery(sqlite3_stmt *at)
{
	return (struct store_delivery){
		.id = sqlite3_column_int64(at, 0),
		.sink = (const char *)sqlite3_column_text(at, 1),
		.event = (const char *)sqlite3_column_text(at, 2),
		.job_id = (const char *)sqlite3_column_text(at, 3),
		.payload = (const char *)sqlite3_column_text(at, 4),
		.created_ms = sqlite3_column_int64(at, 5),
		.next_try_ms = sqlite3_column_int64(at, 6),
		.tries = (unsigned)sqlite3_column_int64(at, 7),
		.error = (const char *)sqlite3_column_text(at, 8),
		.dead = sqlite3_column_int(at, 9) != 0,
	};
}

static bool add_deliveries(struct store_sqlite *sqlite, sqlite3_stmt *at, struct store_call *call, struct error *err)
{
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err)) {
		const struct store_delivery lent = read_delivery(at);

		store_call_add_claimed(call, &lent);
	}
	sql_done(at);
	return !failed;
}

static bool due_deliveries(struct store_rows *rows, size_t max, int64_t now_ms, struct store_call *call,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return add_deliveries(sqlite, sql_query(sqlite, SQL_DUE_DELIVERIES, err, SQL_INTEGER(now_ms),
		SQL_INTEGER((int64_t)max)), call, err);
}

static bool claim_delivery(struct store_rows *rows, int64_t id, const char *owner, int64_t until_ms, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_CLAIM_DELIVERY, err, SQL_INTEGER(id), SQL_TEXT(owner),
		SQL_INTEGER(until_ms));
}

static bool free_claims(struct store_rows *rows, const char *owner, int64_t now_ms, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_FREE_CLAIMS, err, SQL_TEXT(owner), SQL_INTEGER(now_ms));
}

static bool write_delivery(struct store_rows *rows, const struct store_delivery *delivery, const char *owner,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_WRITE_DELIVERY, err, SQL_INTEGER(delivery->id),
		SQL_INTEGER(delivery->next_try_ms), SQL_INTEGER(delivery->tries), SQL_INTEGER(store_delivery_is_open(delivery)),
		SQL_INTEGER(delivery->dead), SQL_TEXT(delivery->error), SQL_TEXT(owner), SQL_INTEGER(delivery->kept));
}

static bool delivery_time(struct store_rows *rows, int64_t *due_ms, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_one_integer(sqlite, sql_query_values(sqlite, SQL_DELIVERY_TIME, err, NULL, 0), due_ms, err);
}

static bool revive(struct store_rows *rows, int64_t id, int64_t now_ms, size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	bool ok = id != 0 ? sql_run(sqlite, SQL_REVIVE_ONE, err, SQL_INTEGER(id), SQL_INTEGER(now_ms)) :
		sql_run(sqlite, SQL_REVIVE_ALL, err, SQL_INTEGER(now_ms));

	*count = ok ? (size_t)sqlite3_changes(sqlite->db) : 0;
	return ok;
}

static bool list_deliveries(struct store_rows *rows, struct store_call *call, struct error *err)
{
	const struct store_delivery_filter *filter = &call->delivery_filter;
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	const struct sql_value values[] = {
		SQL_INTEGER(filter->after_id), SQL_INTEGER((int64_t)filter->max), SQL_TEXT(filter->job_id),
		SQL_INTEGER(filter->open_only),
	};
	enum sql which = filter->job_id != NULL ? SQL_JOB_DELIVERIES :
		filter->open_only ? SQL_OPEN_DELIVERIES : SQL_DELIVERIES;
	sqlite3_stmt *at = sql_query_values(sqlite, which, err, values, filter->job_id != NULL ? 4 : 2);

	return add_deliveries(sqlite, at, call, err);
}

static bool forget_others(struct store_rows *rows, const struct store_others *others, size_t max, size_t *count,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	if (!sql_run(sqlite, SQL_FORGET_JOBLESS, err, SQL_INTEGER(others->older_than_ms),
		SQL_INTEGER(others->open_older_than_ms), SQL_INTEGER((int64_t)max)))
		return false;
	*count = (size_t)sqlite3_changes(sqlite->db);
	return true;
}

void store_sqlite_outbox_ops(struct store_rows_ops *ops)
{
	ops->was_said = was_said;
	ops->add_delivery = add_delivery;
	ops->due_deliveries = due_deliveries;
	ops->claim_delivery = claim_delivery;
	ops->free_claims = free_claims;
	ops->write_delivery = write_delivery;
	ops->delivery_time = delivery_time;
	ops->revive = revive;
	ops->list_deliveries = list_deliveries;
	ops->forget_others = forget_others;
}
