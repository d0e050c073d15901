/* SPDX-License-Identifier: Apache-2.0 */
/* log_wait.c - see log_wait.h. */
#include "api/log_wait.h"

#include <stdlib.h>

#include "base/mem.h"

static const double wait_s = 10;

struct log_wait {
	struct api *api;
	struct request *request;
	struct job *job;
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
	wait_free(request->state);
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

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	finish(container_of(timer, struct log_wait, deadline));
}

static void on_news(void *arg)
{
	struct log_wait *wait = arg;

	if (job_log_fresh(wait->log))
		finish(wait);
}

void log_wait(struct api *api, struct request *request, const struct job *job, log_wait_fn *fn)
{
	struct log_wait *wait = xnew(struct log_wait);

	*wait = (struct log_wait){ .api = api, .request = request, .job = job_copy(job), .fn = fn };
	ev_timer_init(&wait->deadline, on_deadline, wait_s, 0.);
	ev_timer_start(api->loop, &wait->deadline);
	request->state = wait;
	request->gone = on_gone;
	wait->log = job_log_open(api, job, job->attempt.number, on_news, wait);
	if (wait->log == NULL || job_log_fresh(wait->log))
		finish(wait);
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
