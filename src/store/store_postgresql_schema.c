/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_schema.c - what is looked at before the loop runs: the schema's version, and the clock.
 *
 * Tables change by migrations, one file for each version; the functions and views are those of the newest
 * version and are written anew with each migration, all in one transaction.  Workers of the version before,
 * which are there until they have drained, call the same functions, so what these take and give may only grow.
 * A schema newer than we know is refused. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "store/store_postgresql.h"
#include "store_postgresql_functions_sql.h"
#include "store_postgresql_tables_1_sql.h"
#include "store_postgresql_tables_2_sql.h"

/* The third has the tables of the second, and other functions. */
static const char no_change[] = "SET LOCAL statement_timeout = 0";
/* From the version that is its place in the list to the next. */
static const char *const migrations[] = { store_postgresql_tables_1, store_postgresql_tables_2, no_change };
const int store_postgresql_version = sizeof(migrations) / sizeof(migrations[0]);

/* -- the clock ----------------------------------------------------------------------------------- */

int64_t store_postgresql_boot_ms(void)
{
	int64_t boot_ms, steady_ms;

	clock_shifted(&boot_ms, &steady_ms);
	return clock_boot_ms() - boot_ms;
}

/* The server's time was right at some moment between the question and the answer; what we believed counts as far
 * as that allows. */
void store_postgresql_take_clock(struct store_postgresql *pg, int64_t server_ms, int64_t asked_ms, int64_t answered_ms,
	bool first)
{
	int64_t least_ms = server_ms - answered_ms, most_ms = server_ms - asked_ms;

	if (first)
		pg->offset_ms = (least_ms + most_ms) / 2;
	else if (pg->offset_ms < least_ms)
		pg->offset_ms = least_ms;
	else if (pg->offset_ms > most_ms)
		pg->offset_ms = most_ms;
	else
		return;
	clock_steady_set(pg->offset_ms);
}

/* -- the schema ---------------------------------------------------------------------------------- */

static void said(const struct store_postgresql *pg, const PGresult *result, const char *doing, struct error *err)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool refused = code != NULL && (strncmp(code, "42", 2) == 0 || strncmp(code, "25", 2) == 0);
	char line[LIMIT_ERROR_TEXT_BYTES / 2];

	postgresql_message(PQerrorMessage(pg->conn), line, sizeof(line));
	error_set(err, refused ? ERROR_REFUSED : ERROR_TEMPORARY, "store: %.200s: %s: %s", pg->url.name, doing, line);
	error_set_code(err, code != NULL ? code : "");
}

static bool run(struct store_postgresql *pg, const char *sql, const char *doing, struct error *err)
{
	PGresult *result = PQexec(pg->conn, sql);
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!ok)
		said(pg, result, doing, err);
	PQclear(result);
	return ok;
}

/* One number; 0 for NULL. */
static bool ask(struct store_postgresql *pg, const char *sql, int64_t *number, struct error *err)
{
	PGresult *result = PQexec(pg->conn, sql);
	bool ok = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;

	if (ok)
		*number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	else
		said(pg, result, "cannot look at the schema", err);
	PQclear(result);
	return ok;
}

/* 0: there is no schema. */
static bool ask_version(struct store_postgresql *pg, int64_t *version, struct error *err)
{
	int64_t there;

	*version = 0;
	if (!ask(pg, "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = 'gantry' AND tablename = 'versions'", &there,
		err))
		return false;
	return there == 0 || ask(pg, "SELECT max(version) FROM gantry.versions", version, err);
}

static bool migrate_from(struct store_postgresql *pg, int64_t version, struct error *err)
{
	/* It may have been made for us, who may make none. */
	bool ok = run(pg, "DO $$ BEGIN IF to_regnamespace('gantry') IS NULL THEN CREATE SCHEMA gantry; END IF; END $$;"
		" SET LOCAL search_path = gantry;"
		" SET LOCAL check_function_bodies = off; SET LOCAL statement_timeout = 0;"
		" CREATE TABLE IF NOT EXISTS versions (version integer PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())",
		"cannot create the schema \"gantry\"", err);

	for (; ok && version < store_postgresql_version; version++) {
		char *note = xasprintf("INSERT INTO versions (version) VALUES (%d)", (int)version + 1);

		ok = run(pg, migrations[version], "cannot migrate", err) && run(pg, note, "cannot migrate", err);
		free(note);
	}
	return ok && run(pg, store_postgresql_functions, "cannot write the functions", err);
}

/* One at a time, over all hosts; whoever comes second finds it done.  1734438518 is "ganv". */
static bool migrate(struct store_postgresql *pg, struct error *err)
{
	int64_t version;
	bool ok = run(pg, "BEGIN; SELECT pg_advisory_xact_lock(1734438518, 0)", "cannot migrate", err) &&
		ask_version(pg, &version, err);

	if (ok && version < store_postgresql_version)
		ok = migrate_from(pg, version, err);
	if (ok)
		return run(pg, "COMMIT", "cannot migrate", err);
	run(pg, "ROLLBACK", "cannot roll back", NULL);
	return false;
}

static bool greet(struct store_postgresql *pg, struct error *err)
{
	int64_t asked_ms = store_postgresql_boot_ms();
	int64_t server_ms;

	if (!ask(pg, "SELECT gantry.greet(NULL)->>'server_ms'", &server_ms, err))
		return false;
	store_postgresql_take_clock(pg, server_ms, asked_ms, store_postgresql_boot_ms(), true);
	return true;
}

bool store_postgresql_check_schema(struct store_postgresql *pg, bool may_migrate, struct error *err)
{
	int64_t version;

	if (!ask_version(pg, &version, err))
		return false;
	if (version > store_postgresql_version) {
		error_set(err, ERROR_REFUSED, "store: %.200s has schema %d, written by a newer gantry; this one knows up to %d",
			pg->url.name, (int)version, store_postgresql_version);
		return false;
	}
	if (version < store_postgresql_version && !may_migrate) {
		error_set(err, ERROR_TEMPORARY, "store: %.200s has %s yet; a worker makes it when it starts", pg->url.name,
			version == 0 ? "no schema \"gantry\"" : "not its newest schema");
		return false;
	}
	if (version < store_postgresql_version && !migrate(pg, err))
		return false;
	return greet(pg, err);
}
