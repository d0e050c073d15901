/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_bucket.c - the rates that all workers share. */
#include <stdio.h>

#include "store/store_sqlite.h"

static void read_columns(sqlite3_stmt *at, struct store_bucket *bucket)
{
	snprintf(bucket->boot_id, sizeof(bucket->boot_id), "%s", (const char *)sqlite3_column_text(at, 0));
	bucket->tokens = sqlite3_column_double(at, 1);
	bucket->per_s = sqlite3_column_double(at, 2);
	bucket->filled_ms = sqlite3_column_int64(at, 3);
	bucket->halved_ms = sqlite3_column_int64(at, 4);
	bucket->raised_ms = sqlite3_column_int64(at, 5);
	bucket->short_of = sqlite3_column_int(at, 6) != 0;
}

static bool read_bucket(struct store_rows *rows, const char *name, struct store_bucket *bucket, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_READ_BUCKET, err, SQL_TEXT(name));
	bool failed;

	*bucket = (struct store_bucket){ 0 };
	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err))
		read_columns(at, bucket);
	sql_done(at);
	return !failed;
}

static bool write_bucket(struct store_rows *rows, const char *name, const struct store_bucket *bucket,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_WRITE_BUCKET, err, SQL_TEXT(name), SQL_TEXT(bucket->boot_id),
		SQL_REAL(bucket->tokens), SQL_REAL(bucket->per_s), SQL_INTEGER(bucket->filled_ms),
		SQL_INTEGER(bucket->halved_ms), SQL_INTEGER(bucket->raised_ms), SQL_INTEGER(bucket->short_of));
}

void store_sqlite_bucket_ops(struct store_rows_ops *ops)
{
	ops->read_bucket = read_bucket;
	ops->write_bucket = write_bucket;
}
