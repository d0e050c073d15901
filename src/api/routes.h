/* SPDX-License-Identifier: Apache-2.0 */
/* routes.h - which handler answers which path, and who may ask. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/api.h"
#include "api/auth.h"
#include "api/request.h"

typedef void route_fn(struct api *api, struct request *request);

struct route {
	const char *method;             /* GET also answers HEAD */
	const char *before, *after;     /* the path is before, an argument of its own, after; after NULL: exactly before */
	enum scope scope;
	bool legacy;                    /* a call of queued-deployments: errors as its clients know them */
	route_fn *answer;
};

/* Sets request->route and argument.  False after an answer: 404, or 405 with Allow. */
bool routes_find(struct request *request);

/* job_routes.c */
typedef void job_fn(struct api *api, struct request *request, const struct job *job);
/* Finds the job that the path names and hands it, lent, to fn, which answers.  One that is not there, or is
 * not theirs to see, is answered with 404. */
void with_job(struct api *api, struct request *request, job_fn *fn);
/* What of the store or a queue could not be had. */
void answer_failed(struct request *request, const struct error *err);
void answer_jobs(struct api *api, struct request *request);
void answer_job(struct api *api, struct request *request);
void answer_submit(struct api *api, struct request *request);
void answer_cancel(struct api *api, struct request *request);
void answer_retry(struct api *api, struct request *request);
void answer_why(struct api *api, struct request *request);

/* log_routes.c */
void answer_log(struct api *api, struct request *request);
void answer_result(struct api *api, struct request *request);

/* event_routes.c */
void answer_events(struct api *api, struct request *request);
/* Draining: event streams end, and their readers go on with the next generation. */
void events_end(struct api *api);

/* deploy_routes.c */
void answer_deploy(struct api *api, struct request *request);
void answer_status(struct api *api, struct request *request);
void answer_queue_status(struct api *api, struct request *request);

/* state_routes.c */
void answer_queues(struct api *api, struct request *request);
void answer_locks(struct api *api, struct request *request);
void answer_unlock(struct api *api, struct request *request);
void answer_workers(struct api *api, struct request *request);
void answer_healthz(struct api *api, struct request *request);
void answer_readyz(struct api *api, struct request *request);
/* Each configured queue with its figures over all workers, and its depth as far as depths (may be NULL) knows; a new
 * reference. */
json_t *queue_sums(const struct conf *conf, const json_t *status, const struct depths *depths);

/* auth.c */
/* Who asks and what for, in the words of the configuration. */
void answer_access(struct api *api, struct request *request);

/* openapi.c */
void answer_openapi(struct api *api, struct request *request);

/* dashboard.c */
void answer_dashboard(struct api *api, struct request *request);

/* metrics.c */
void answer_metrics(struct api *api, struct request *request);

#endif
