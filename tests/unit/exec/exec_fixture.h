/* SPDX-License-Identifier: Apache-2.0 */
/* exec_fixture.h - an ECS deployer over fake_aws.h, with a caller that writes down what it hears, and
 * a clock that only moves when the test says so. */
#ifndef UNIT_EXEC_FIXTURE_H
#define UNIT_EXEC_FIXTURE_H

#include "../aws/fake_aws.h"
#include "../cmocka_all.h"
#include "exec/exec_ecs.h"

struct fixture {
	struct ev_loop *loop;
	struct log log;
	struct conf_deployer conf;
	struct exec *exec;
	/* of exec_launch() and exec_look() */
	size_t launched;
	char handle[256];               /* "" when there was none */
	struct error error;             /* kind NONE: success */
	/* of the watches */
	size_t started, ended;
	int64_t started_ms;
	struct exec_end end;            /* the last one */
	void *ended_arg;
	bool destroy_in_ended;
};

/* What a watch's events get as their argument. */
struct watched {
	struct fixture *fixture;
	char handle[128];
	bool ended;
};

void fixture_begin(struct fixture *fixture);
/* With rates that are shared. */
void fixture_begin_sharing(struct fixture *fixture, const struct exec_rates *rates);
void fixture_end(struct fixture *fixture);
/* Time goes on; looks and stops that are due by then are made. */
void fixture_pass(struct fixture *fixture, double seconds);
/* Runs the loop in real time until the launch or look is answered. */
void fixture_wait(struct fixture *fixture);
/* An exec_launched_fn; arg is the fixture. */
void fixture_launched(void *arg, const char *handle, const struct error *err);
struct exec_watch *fixture_watch(struct fixture *fixture, struct watched *watched, const char *handle, double age_s);
/* A job "j1" of project "shop" with this body. */
struct job *fixture_job(const char *body);
/* Makes this its attempt: number, step, and the token that follows from them. */
void fixture_attempt(struct job *job, unsigned number, unsigned step);

#endif
