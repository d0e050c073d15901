/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - the account of every message and task, for tests to settle with at the end.
 * Entries are small and stay after the thing itself is gone; the index an entry is known by is
 * given at its start.  Switched off, every index is LEDGER_NONE and nothing is kept.
 * Times are the simulator's; beside them each entry has the microsecond of the machine's clock when
 * it was made ("entered_us"), so that the way from a message to its task can be measured. */
#ifndef AWSSIM_LEDGER_H
#define AWSSIM_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LEDGER_NONE UINT32_MAX

enum ledger_event {
	LEDGER_RECEIVED,
	LEDGER_DELETED,
	LEDGER_STALE_DELETE,    /* a delete with a handle that no longer counts */
	LEDGER_RETURNED,        /* visible again, not deleted */
	LEDGER_DEAD_LETTERED,
	LEDGER_PURGED,          /* or expired, or gone with its queue */
	LEDGER_EVENTS
};

struct ledger_task {
	const char *arn, *cluster, *task_definition;
	const char *client_token;       /* NULL: none */
	const char *started_by;         /* NULL: none */
	const char *environment;        /* of all overrides: NAME NUL VALUE NUL ...; the last counts */
	size_t environment_bytes;
	int64_t created_ms;
};

struct ledger;

struct ledger *ledger_create(bool enabled);
void ledger_destroy(struct ledger *);
void ledger_clear(struct ledger *);

uint32_t ledger_message(struct ledger *, const char *queue, const char *id, const char *group,
			int64_t sent_ms);
void ledger_message_event(struct ledger *, uint32_t message, enum ledger_event, int64_t at_ms);
void ledger_message_extended(struct ledger *, uint32_t message);

uint32_t ledger_task(struct ledger *, const struct ledger_task *);
void ledger_task_asked_again(struct ledger *, uint32_t task);   /* RunTask with its token */
void ledger_task_started(struct ledger *, uint32_t task, int64_t at_ms);
/* exit_code: -1 when there is none. */
void ledger_task_stopped(struct ledger *, uint32_t task, int64_t at_ms, int exit_code,
			 const char *stop_code);

/* What an account request asks for; NULL and 0: everything, from the start. */
struct ledger_filter {
	const char *queue, *group, *id;         /* of messages */
	const char *started_by, *client_token, *arn;    /* of tasks */
	const char *env_name, *env_value;       /* of tasks: environment[env_name] is env_value */
	uint32_t after, limit;                  /* entries skipped; entries given at most */
};

/* {"messages": [...], "next": N or null}: each a new reference */
json_t *ledger_describe_messages(const struct ledger *, const struct ledger_filter *);
json_t *ledger_describe_tasks(const struct ledger *, const struct ledger_filter *);
/* Totals; with env_name also which values of that variable were launched more than once. */
json_t *ledger_summary(const struct ledger *, const char *env_name);

#endif
