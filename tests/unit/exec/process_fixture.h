/* SPDX-License-Identifier: Apache-2.0 */
/* process_fixture.h - a deployer of local commands with the real gantry-shim, in a directory of its own. */
#ifndef UNIT_PROCESS_FIXTURE_H
#define UNIT_PROCESS_FIXTURE_H

#include "../cmocka_all.h"
#include "exec/exec_process.h"

struct fixture {
	struct ev_loop *loop;
	struct log log;
	struct conf_deployer conf;
	struct exec_env env;
	struct exec *exec;
	char place[64];                 /* where commands run; removed at the end */
	char state_dir[96];
	const char *job_id;             /* of the next request; NULL: "j1" */
};

/* What a launch or a look was answered. */
struct answered {
	struct fixture *fixture;
	unsigned times;
	char *handle;                   /* NULL: none */
	struct error error;
};

/* What a watch told. */
struct watched {
	unsigned started, ended;
	struct exec_end end;
};

/* shim: its program, from the build directory on. */
void fixture_begin(struct fixture *fixture, const char *shim);
void fixture_end(struct fixture *fixture);
/* Makes the exec anew, as another worker would have it. */
void fixture_renew(struct fixture *fixture);
/* A job "j1" of project "shop" with this body, its first attempt. */
struct job *fixture_job(const char *body);
/* The request of a job that runs one shell script in place. */
char *fixture_request(struct fixture *fixture, const char *script);
struct exec_launch *fixture_launch(struct fixture *fixture, const char *request, const char *token,
	struct answered *answered);
void fixture_look(struct fixture *fixture, const char *request, const char *token, struct answered *answered);
void answered_finish(struct answered *answered);
struct exec_watch *fixture_watch(struct fixture *fixture, const char *handle, struct watched *watched);
/* Runs the loop until *count is at least wanted; fails after half a minute. */
void fixture_run(struct fixture *fixture, const unsigned *count, unsigned wanted);
/* Runs the loop until there is something in a file of place; the text is the caller's to free. */
char *fixture_wait_file(struct fixture *fixture, const char *name);
/* A whole file of place, the caller's to free; NULL when there is none. */
char *fixture_file(const struct fixture *fixture, const char *name);
/* Runs the loop until all of the session but its leader are stopped by a signal. */
void fixture_run_until_stopped(struct fixture *fixture, long session);
/* Waits until no process of the session lives. */
void fixture_wait_session_gone(long session);

#endif
