/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_stop.c - StopTask, repeated until ECS has accepted it: a stop that got lost would leave a
 * deployment running for ever.  That the task has stopped is the watch's to see; its end ends the stop too.
 *
 * "No such task" is no answer to rest on: a task of a moment ago may not be visible yet, and one that is
 * gone will be found missing by the watch.  So whatever is not accepted is asked again, and only how soon
 * depends on why. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_ecs.h"

static const double first_s = 1, max_s = 30, human_s = 60;

static void again(struct ecs_watch *watch, const struct error *err)
{
	bool human = err->kind == ERROR_REFUSED;
	struct ecs_stop *stop = watch->stop;
	double delay_s;

	stop->failures++;
	delay_s = human ? human_s : backoff_s(stop->failures, first_s, max_s, random_unit());
	log_at(&watch->face.exec->log, human ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		"the stop of %s was not accepted (%s): %s; asked again in %.0fs", watch->arn, error_kind_name(err->kind),
		err->text, delay_s);
	ecs_arm(watch->cluster->account, &stop->timer, delay_s);
}

static void on_stopped(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_watch *watch = arg;

	(void)reply;
	watch->stop->call = NULL;
	if (err == NULL)
		log_info(&watch->face.exec->log, "the stop of %s was accepted", watch->arn);
	else
		again(watch, err);
	ecs_watch_hurry(watch);
}

static void send_stop(struct ecs_watch *watch)
{
	struct ecs_cluster *cluster = watch->cluster;

	watch->stop->call = ecs_call(cluster->account, "StopTask",
		ecs_stop_input(cluster->name, watch->arn, watch->stop->reason), on_stopped, watch);
}

static void on_stop_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	send_stop(container_of(timer, struct ecs_stop, timer)->watch);
}

void ecs_stop_begin(struct ecs_watch *watch, const char *reason)
{
	if (watch->stop != NULL)
		return;
	watch->stop = xnew(struct ecs_stop);
	watch->stop->watch = watch;
	watch->stop->reason = xstrdup(reason);
	ev_timer_init(&watch->stop->timer, on_stop_time, 0., 0.);
	send_stop(watch);
}

void ecs_stop(struct exec_watch *face, const char *reason)
{
	struct ecs_watch *watch = container_of(face, struct ecs_watch, face);

	watch->stop_wanted = true;
	ecs_stop_begin(watch, reason);
}

void ecs_stop_finish(struct ecs_watch *watch)
{
	struct ecs_stop *stop = watch->stop;

	if (stop == NULL)
		return;
	aws_call_cancel(stop->call);
	ev_timer_stop(watch->cluster->account->loop, &stop->timer);
	free(stop->reason);
	free(stop);
}
