/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - the process that answers over HTTP.
 *
 * It deploys nothing and owns no job: it reads the store, asks it for what people want, and tells the master
 * to hint the workers.  Life: warm up, park, accept (GO), drain, leave.  Private to src/api. */
#ifndef API_API_H
#define API_API_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/log.h"
#include "base/table.h"
#include "conf/conf.h"
#include "ipc/figures.h"
#include "ipc/heritage.h"
#include "ipc/report.h"
#include "store/store.h"

struct auth;
struct aws;
struct deploy_readers;
struct depths;
struct ecs_logs;
struct feed;
struct listener;
struct master_status;
struct request;
struct submitter;

enum api_state {
	API_WARMING,            /* opening the store */
	API_PARKED,             /* ready; accepts nothing before GO */
	API_ACTIVE,
	API_DRAINING,           /* accepts no more; answers what is under way */
};

enum api_hint {
	API_HINT_NONE,
	API_HINT_JOBS,                  /* jobs that nobody owns */
	API_HINT_NEWS,                  /* news for some of their owners, or both */
};

struct api {
	struct ev_loop *loop;
	struct log log;
	struct heritage heritage;
	struct conf *conf;
	enum api_state state;
	struct store *store;
	struct auth *auth;
	struct master_status *master;
	struct master_status *master_figures;   /* the same with figures */
	struct depths *depths;
	struct figures *figures;        /* shared with the master; NULL: none */
	struct submitter *submitter;
	struct deploy_readers *readers;
	struct ecs_logs *task_logs;
	struct table follows;           /* struct follow of event_routes.c, by job id */
	struct feed *feed;
	struct listener *listeners[HERITAGE_LISTENERS];
	size_t listener_count;
	char *certificate, *key;        /* PEM texts; NULL: no TLS */

	ev_io channel;
	ev_timer heartbeat, warm_again;
	ev_timer hint;                  /* active for a moment after a hint */
	enum api_hint hint_next;        /* what is due at its end */
	ev_timer deadline;              /* of the drain */
	ev_timer close_idle;
	ev_signal on_term, on_quit;
	uint32_t report_sequence;
	uint64_t answered;              /* requests */
	char degraded[REPORT_TEXT_BYTES];
	int exit_status;
};

/* Takes conf. */
struct api *api_create(const struct heritage *heritage, struct conf *take_conf);
void api_destroy(struct api *api);
/* Runs until it is told to leave; the exit status. */
int api_run(struct api *api);
/* Told by the master: accept; accept no more and leave within ms. */
void api_go(struct api *api);
void api_drain(struct api *api, int64_t deadline_ms, const char *why);
void api_leave(struct api *api, int status);

/* api_channel.c: the master */
void api_channel_start(struct api *api);
void api_channel_stop(struct api *api);
void api_channel_send(struct api *api, enum report_kind kind, const char *text);
/* The store has something for workers: they are hinted soon, once for many. */
void api_hint(struct api *api, enum api_hint what);

/* api_figures.c: what this process counts */
void api_figures_init(struct api *api);
void api_figures_finish(struct api *api);
/* Counts its requests. */
void api_figures_watch(struct api *api, struct aws *aws);
/* Copies what is counted elsewhere. */
void api_figures_copy(struct api *api);
/* An answer. */
void api_figures_count(struct api *api, const struct request *request);

#endif
