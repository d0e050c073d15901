/* SPDX-License-Identifier: Apache-2.0 */
/* log_wait.c - see log_wait.h. */
#include "api/log_wait.h"

#include <stdlib.h>

#include "api/routes.h"
#include "base/mem.h"

static const double wait_s = 10;

struct log_wait {
	struct api *api;
	struct request *request;        /* NULL: its client has gone while the store was asked */
	struct job *job;
	unsigned attempt;
	bool asking;                    /* the store, for what an earlier attempt was */
	struct job_log *log;
	ev_timer deadline;
	log_wait_fn *fn;
};

static void wait_free(struct log_wait *wait)
{
	ev_timer_stop(wait->api->loop, &wait->deadline);
	job_log_close(wait->log);
	job_destroy(wait->job);
	free(wait);
}

static void on_gone(struct request *request)
{
	struct log_wait *wait = request->state;

	wait->request = NULL;
	if (!wait->asking)
		wait_free(wait);
}

static void finish(struct log_wait *wait)
{
	struct request *request = wait->request;
	struct job_log *log = wait->log;

	wait->log = NULL;
	request->gone = NULL;
	request->state = NULL;
	wait->fn(wait->api, request, wait->job, log);
	wait_free(wait);
}

static void on_news(void *arg)
{
	struct log_wait *wait = arg;

	if (job_log_fresh(wait->log))
		finish(wait);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	finish(container_of(timer, struct log_wait, deadline));
}

static void begin(struct log_wait *wait, const struct store_attempt *past)
{
	ev_timer_init(&wait->deadline, on_deadline, wait_s, 0.);
	ev_timer_start(wait->api->loop, &wait->deadline);
	wait->log = job_log_open(wait->api, wait->job, wait->attempt, past, on_news, wait);
	if (wait->log == NULL || job_log_fresh(wait->log))
		finish(wait);
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct log_wait *wait = arg;
	struct request *request = wait->request;

	wait->asking = false;
	if (request == NULL) {
		wait_free(wait);
	} else if (err != NULL) {
		request->gone = NULL;
		request->state = NULL;
		answer_failed(request, err);
		wait_free(wait);
	} else {
		begin(wait, job_log_past(attempts, count, wait->attempt));
	}
}

void log_wait(struct api *api, struct request *request, const struct job *job, unsigned attempt, log_wait_fn *fn)
{
	struct log_wait *wait = xnew(struct log_wait);

	*wait = (struct log_wait){ .api = api, .request = request, .job = job_copy(job), .attempt = attempt, .fn = fn };
	ev_init(&wait->deadline, on_deadline);
	request->state = wait;
	request->gone = on_gone;
	if (attempt == job->attempt.number) {
		begin(wait, NULL);
		return;
	}
	wait->asking = true;
	store_attempts(api->store, job->id, on_attempts, wait);
}

bool log_wait_failed(const struct job_log *log, struct error *err)
{
	const struct error *trouble = job_log_trouble(log);

	if (job_log_size(log) > 0)
		return false;
	if (trouble != NULL)
		*err = *trouble;
	else if (!job_log_fresh(log))
		error_set(err, ERROR_TEMPORARY, "CloudWatch Logs has not answered in time");
	return trouble != NULL || !job_log_fresh(log);
}
