/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_stop.c - StopTask, repeated until ECS has answered: a stop that got lost would leave a
 * deployment running for ever.  That the task has stopped is the watch's to see. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_ecs.h"

static const double first_s = 1, max_s = 30, human_s = 60;

/* A task that ECS does not know needs no stop. */
static bool is_over(const struct error *err)
{
	return err == NULL || err->kind == ERROR_INVALID;
}

static void on_stopped(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_watch *watch = arg;
	const struct log *log = &watch->face.exec->log;
	double delay_s;

	(void)reply;
	watch->stop_call = NULL;
	if (is_over(err)) {
		log_info(log, "the stop of %s was %s%s", watch->arn, err == NULL ? "accepted" : "refused: ",
			err != NULL ? err->text : "");
		ecs_watch_hurry(watch);
		return;
	}
	watch->stop_failures++;
	delay_s = error_may_pass(err->kind) ? backoff_s(watch->stop_failures, first_s, max_s, random_unit()) : human_s;
	log_at(log, error_may_pass(err->kind) ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
		"the stop of %s was not answered (%s): %s; asked again in %.0fs", watch->arn, error_kind_name(err->kind),
		err->text, delay_s);
	ecs_arm(watch->cluster->account, &watch->stop_timer, delay_s);
}

static void send_stop(struct ecs_watch *watch)
{
	struct ecs_cluster *cluster = watch->cluster;

	watch->stop_call = ecs_call(cluster->account, "StopTask",
		ecs_stop_input(cluster->name, watch->arn, watch->stop_reason), on_stopped, watch);
}

static void on_stop_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	send_stop(container_of(timer, struct ecs_watch, stop_timer));
}

void ecs_stop(struct exec_watch *face, const char *reason)
{
	struct ecs_watch *watch = container_of(face, struct ecs_watch, face);

	if (watch->stopping)
		return;
	watch->stopping = true;
	watch->stop_reason = xstrdup(reason);
	send_stop(watch);
}

void ecs_stop_init(struct ecs_watch *watch)
{
	ev_timer_init(&watch->stop_timer, on_stop_time, 0., 0.);
}

void ecs_stop_finish(struct ecs_watch *watch)
{
	aws_call_cancel(watch->stop_call);
	ev_timer_stop(watch->cluster->account->loop, &watch->stop_timer);
	free(watch->stop_reason);
}
