/* SPDX-License-Identifier: Apache-2.0 */
/* exec_fixture.c - see exec_fixture.h. */
#include "exec_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/job_token.h"

void fixture_begin_sharing(struct fixture *fixture, const struct exec_rates *rates)
{
	struct exec_env env;
	struct error err;

	*fixture = (struct fixture){
		.loop = ev_loop_new(EVFLAG_AUTO),
		.conf = {
			.name = (char *)"d", .type = CONF_DEPLOYER_ECS, .cluster = (char *)"prod",
			.task_definition = (char *)"deploy:7", .container = (char *)"app",
		},
	};
	log_init(&fixture->log, NULL, "test");
	log_set_level(LOG_LEVEL_ERROR + 1);
	fake_aws_begin(fixture->loop);
	env = (struct exec_env){ .loop = fixture->loop, .log = &fixture->log, .rates = rates, .aws = fake_aws() };
	fixture->exec = exec_create(&fixture->conf, &env, &err);
	assert_non_null(fixture->exec);
}

void fixture_begin(struct fixture *fixture)
{
	fixture_begin_sharing(fixture, NULL);
}

void fixture_end(struct fixture *fixture)
{
	exec_destroy(fixture->exec);
	fake_aws_end();
	ev_loop_destroy(fixture->loop);
}

void fixture_pass(struct fixture *fixture, double seconds)
{
	struct exec_ecs *ecs = container_of(fixture->exec, struct exec_ecs, face);
	struct ecs_cluster *cluster;
	struct ecs_watch *watch;
	struct ecs_look *look;

	clock_shift(seconds, (int64_t)(seconds * 1000));
	list_each(cluster, &ecs->account->clusters, link)
		ev_feed_event(fixture->loop, &cluster->timer, EV_TIMER);
	list_each(watch, &ecs->watches, mine) {
		if (watch->stop != NULL && ev_is_active(&watch->stop->timer)) {
			ev_timer_stop(fixture->loop, &watch->stop->timer);
			ev_feed_event(fixture->loop, &watch->stop->timer, EV_TIMER);
		}
	}
	list_each(look, &ecs->looks, mine) {
		if (ev_is_active(&look->timer)) {
			ev_timer_stop(fixture->loop, &look->timer);
			ev_feed_event(fixture->loop, &look->timer, EV_TIMER);
		}
	}
	fake_aws_run();
}

void fixture_launched(void *arg, const char *handle, const struct error *err)
{
	struct fixture *fixture = arg;

	fixture->launched++;
	snprintf(fixture->handle, sizeof(fixture->handle), "%s", handle != NULL ? handle : "");
	fixture->error = err != NULL ? *err : (struct error){ 0 };
}

void fixture_wait(struct fixture *fixture)
{
	size_t before = fixture->launched;

	while (fixture->launched == before)
		ev_run(fixture->loop, EVRUN_ONCE);
}

static void on_started(void *arg, int64_t started_ms)
{
	struct watched *watched = arg;

	watched->fixture->started++;
	watched->fixture->started_ms = started_ms;
}

static void on_ended(void *arg, const struct exec_end *end)
{
	struct watched *watched = arg;

	assert_false(watched->ended);
	watched->ended = true;
	watched->fixture->ended++;
	watched->fixture->end = *end;
	if (watched->fixture->destroy_in_ended) {
		exec_destroy(watched->fixture->exec);
		watched->fixture->exec = NULL;
	}
}

struct exec_watch *fixture_watch(struct fixture *fixture, struct watched *watched, const char *handle, double age_s)
{
	struct exec_watch_events events = { .started = on_started, .ended = on_ended, .arg = watched };
	static const char request[] = "{\"cluster\":\"prod\",\"overrides\":{\"containerOverrides\":[{\"name\":\"app\"}]}}";

	*watched = (struct watched){ .fixture = fixture };
	snprintf(watched->handle, sizeof(watched->handle), "%s", handle);
	return exec_watch(fixture->exec, watched->handle, request, clock_wall_ms() - (int64_t)(age_s * 1000), &events);
}

void fixture_attempt(struct job *job, unsigned number, unsigned step)
{
	job->attempt.number = number;
	job->attempt.step = step;
	free(job->attempt.token);
	job->attempt.token = job_token(job->id, number, step);
}

struct job *fixture_job(const char *body)
{
	struct job *job = job_create();

	job->id = xstrdup("j1");
	job->project = xstrdup("shop");
	job->deployer = xstrdup("d");
	job->queue = xstrdup("q");
	job->body = xstrdup(body);
	job->grant = 17;
	fixture_attempt(job, 2, 0);
	return job;
}
