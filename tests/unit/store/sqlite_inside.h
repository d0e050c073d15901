/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_inside.h - behind the port of the SQLite store, where a promise cannot be seen from before it. */
#ifndef UNIT_STORE_SQLITE_INSIDE_H
#define UNIT_STORE_SQLITE_INSIDE_H

#include "store/store_sqlite.h"
#include "store_fixture.h"

struct store_sqlite *inside(struct store *store);
const char *path_of(const struct store_fixture *fixture);
void sql(sqlite3 *db, const char *text);
/* The first column of the first row. */
int64_t number(sqlite3 *db, const char *text);
/* make_job() with a body of so many bytes and some more. */
struct job *make_large_job(unsigned number, int bytes);
/* From now on it leaves to triggers what they do, as an older worker does. */
void obey_triggers(struct store *store);
/* A fixture without a store: for tests that fork or spoil the file. */
int place_setup(void **state);
void want_open_error(struct store_fixture *fixture, bool migrate, enum error_kind kind, const char *words);

#define WITH_STORE(test) cmocka_unit_test_prestate_setup_teardown(test, fixture_setup, fixture_teardown, \
	(void *)&store_adapter_sqlite)
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, fixture_teardown)

#endif
