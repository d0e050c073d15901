/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_inside.c - see sqlite_inside.h. */
#include "sqlite_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"

struct store_sqlite *inside(struct store *store)
{
	return container_of(store, struct store_sqlite, store);
}

void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

struct job *make_large_job(unsigned number, int bytes)
{
	char id[16];
	struct job *job;

	snprintf(id, sizeof(id), "%u", number);
	job = make_job(id, LOCK_PARALLEL);
	free(job->body);
	job->body = xasprintf("{\"x\":\"%0*d\"}", bytes, 0);
	return job;
}

void obey_triggers(struct store *store)
{
	assert_true(store_sqlite_obey_triggers(inside(store), true, NULL));
}

int64_t number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

int place_setup(void **state)
{
	struct store_fixture *fixture = xnew(struct store_fixture);

	fixture->adapter = &store_adapter_sqlite;
	fixture->url = fixture->adapter->make_url(&fixture->private);
	fixture->loop = ev_loop_new(EVFLAG_AUTO);
	log_init(&fixture->log, NULL, "test");
	*state = fixture;
	return 0;
}

const char *path_of(const struct store_fixture *fixture)
{
	return fixture->url + strlen("sqlite://");
}

void want_open_error(struct store_fixture *fixture, bool migrate, enum error_kind kind, const char *words)
{
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = "x", .lease_ms = 1000, .migrate = migrate, .check = true,
	};
	struct error err = { 0 };

	assert_null(store_open(fixture->url, &options, &err));
	if (err.kind != kind || strstr(err.text, words) == NULL)
		fail_msg("wanted %s with \"%s\", found %s: %s", error_kind_name(kind), words, error_kind_name(err.kind),
			err.text);
}
