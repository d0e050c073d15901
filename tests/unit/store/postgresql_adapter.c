/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_adapter.c - see postgresql_adapter.h.
 *
 * Each store has a database of its own.  One that was removed is emptied for the next, which takes a tenth of the
 * time that making one does. */
#include "postgresql_adapter.h"

#include <stdlib.h>

#include "base/mem.h"
#include "store_fixture.h"

enum { DATABASES = 64 };

static struct postgresql_server server;
static PGconn *conn;
static unsigned made;
static bool used[DATABASES];

struct postgresql_server *postgresql_adapter_server(void)
{
	if (server.pid == 0 && server.folder[0] == '\0')
		postgresql_server_init(&server);
	if (server.pid == 0)
		postgresql_server_start(&server);
	if (conn == NULL || PQstatus(conn) != CONNECTION_OK) {
		PQfinish(conn);
		conn = postgresql_server_connect(&server, "postgres");
	}
	return &server;
}

static unsigned unused(void)
{
	for (unsigned i = 0; i < made; i++) {
		if (!used[i])
			return i;
	}
	if (made == DATABASES)
		abort();
	postgresql_run(conn, "CREATE DATABASE store%u", made);
	return made++;
}

/* Nothing of what was in it is left but the schema, if there is one. */
static void empty(unsigned number)
{
	char *name = xasprintf("store%u", number);
	PGconn *there = postgresql_server_connect(&server, name);

	/* Without its triggers; TRUNCATE would make thirty files anew. */
	postgresql_run(there, "SET session_replication_role = replica; DO $$ DECLARE name text; BEGIN"
		" FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'gantry' AND tablename <> 'versions' LOOP"
		" EXECUTE format('DELETE FROM gantry.%%I', name); END LOOP;"
		" FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'gantry' LOOP"
		" PERFORM setval(format('gantry.%%I', name), 1, false); END LOOP; END $$");
	PQfinish(there);
	free(name);
}

static char *postgresql_url(char **private)
{
	unsigned number;

	postgresql_adapter_server();
	number = unused();
	used[number] = true;
	empty(number);
	*private = xasprintf("%u", number);
	return xasprintf("postgresql://gantry@/store%u?host=%s", number, server.folder);
}

static void postgresql_remove(char *private)
{
	used[strtoul(private, NULL, 10)] = false;
	free(private);
}

static void postgresql_end(void)
{
	PQfinish(conn);
	conn = NULL;
	if (server.folder[0] != '\0')
		postgresql_server_finish(&server);
}

const struct store_adapter store_adapter_postgresql = {
	"postgresql", postgresql_url, postgresql_remove, postgresql_end,
};
