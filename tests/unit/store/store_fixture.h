/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.h - a store, or several owners of one, on a real loop.
 *
 * The want_*() calls make one call, run the loop until its completion and fail the test when the
 * completion's error is not of the kind that is wanted. */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include <ev.h>

#include "store/store.h"
#include "store_reads.h"

enum { FIXTURE_OWNERS = 3, FIXTURE_LEASE_MS = 60000 };

struct store_adapter {
	const char *name;
	/* Makes the URL of a new, empty store; returns what remove() gets. */
	char *(*make_url)(char **private);
	void (*remove)(char *private);
	void (*end)(void);              /* stops the server that make_url() has started; NULL: there is none */
};
/* All of them, up to a NULL: each passes the same tests. */
extern const struct store_adapter *const store_adapters[];
extern const struct store_adapter store_adapter_memory, store_adapter_sqlite;
extern const struct store_adapter store_adapter_redis;          /* redis_adapter.c */
extern const struct store_adapter store_adapter_postgresql;     /* postgresql_adapter.c */
/* At the end of a program that has used them. */
void store_adapters_end(void);

struct store_fixture {
	const struct store_adapter *adapter;
	char *url, *private;
	struct ev_loop *loop;
	struct log log;
	struct store *a, *b;            /* of the owners "a" and "b" */
	unsigned jobs_made;
};

/* What the last completion said. */
struct heard {
	bool done;
	struct error err;               /* kind ERROR_NONE: success */
	size_t count;
	struct job **jobs;
	int64_t next_due_ms;
	char grants[256];               /* "id@owner id@-" */
	char told[512];                 /* "event:payload event:payload" */
	int64_t ids[16];
	enum store_asked verdict;
	enum job_state state;
	char about[96];                 /* "job@owner", "job@-", "-@-" */
	struct store_rate_given rate;
};

struct CMUnitTest;
/* Each test for each adapter, named "adapter: promise". */
int fixture_run(const struct CMUnitTest *tests, size_t count);
/* state is the adapter; replaced by a fixture whose stores a and b are open. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
struct store *fixture_open(struct store_fixture *fixture, const char *owner);
/* As fork().  The child has the loop to itself, is to open its own stores and to _exit(); it ends when the test does, and when
 * a check of its own fails. */
pid_t fixture_fork(struct store_fixture *fixture);
/* Waits for a completion that was given this heard. */
void hear(struct store_fixture *fixture, struct heard *heard);
void heard_finish(struct heard *heard);
store_done_fn heard_done;
store_count_fn heard_count;
store_jobs_fn heard_jobs;
store_finish_fn heard_finished;
store_sweep_fn heard_swept;
store_answer_fn heard_answer;
store_rate_fn heard_rate;
/* In told: "event:payload event:payload". */
store_deliveries_fn heard_deliveries;

/* A job of project and key "p" and deployer "d" from queue "q", with message "m-ID". */
struct job *make_job(const char *id, enum lock_policy policy);
/* Admits and updates the job. */
enum store_admitted want_admit(struct store_fixture *fixture, struct store *store, struct job *job);
void want_renew(struct store_fixture *fixture, struct store *store, enum error_kind kind);
size_t want_disown(struct store_fixture *fixture, struct store *store, const char *owner);
void want_intend(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind);
void want_started(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind);
void want_retry(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind);
void want_note_wait(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind);
typedef void ask_fn(struct store *store, const char *name, const char *by, store_answer_fn *done, void *arg);
/* Asks as "me"; about and grants: what heard.about and heard.grants must say. */
void want_asked(struct store_fixture *fixture, struct store *store, ask_fn *ask, const char *name,
	enum store_asked verdict, const char *about, const char *grants);
void want_told(struct store_fixture *fixture, struct store *store, const char *id, enum store_asked verdict,
	const char *about);
/* What the sweep gives: "1 2". */
void want_news(struct store_fixture *fixture, struct store *store, const char *ids);
/* grants: what heard.grants must say. */
void want_finish(struct store_fixture *fixture, struct store *store, struct job *job, enum job_state state,
	const char *grants);
void want_finish_error(struct store_fixture *fixture, struct store *store, struct job *job, enum job_state state,
	enum error_kind kind);
void want_note(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind);
/* The jobs are the caller's, see heard_finish(). */
void want_adopt(struct store_fixture *fixture, struct store *store, size_t max, struct heard *heard);
void want_sweep(struct store_fixture *fixture, struct store *store, struct heard *heard);
void want_state(struct store *store, const char *id, enum job_state state);
/* The ids of what was heard, "a b c". */
const char *heard_ids(const struct heard *heard);

#endif
