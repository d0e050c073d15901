/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - where deployments run.
 *
 * A launch has three steps, so that a crash between any two can be mended: exec_prepare() freezes
 * the parameters into a text that the caller stores, exec_launch() starts what that text says under
 * an idempotency token, exec_watch() waits for its end.  All of them can be repeated by another
 * process with what was stored.  What a result means for the job is decided here; whether it is
 * tried again is decided by the worker.
 *
 * Callers include this; adapters fill the table in exec_impl.h. */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job/job.h"

struct aws;
struct exec;
struct exec_launch;
struct exec_watch;

enum { LIMIT_EXEC_REQUEST_BYTES = 64 << 10 };

/* Tokens of an account-wide rate, shared by all workers: the worker answers from the store.  done runs once
 * and later, also when the exec that asked is gone: what it points at must live until then. */
struct exec_rate_ask {
	const char *bucket;             /* "ecs/<region>/<account>/RunTask" */
	double initial_per_s, max_per_s, burst;
	double begin_per_s;             /* as in store.h */
	unsigned want, throttles;
};
typedef void exec_rate_fn(void *arg, unsigned tokens, double wait_s, double per_s, const struct error *err);
struct exec_rates {
	void (*take)(void *arg, const struct exec_rate_ask *ask, exec_rate_fn *done, void *done_arg);
	void *arg;
};

struct exec_env {
	struct ev_loop *loop;
	const struct log *log;
	const struct exec_rates *rates; /* NULL: each exec learns its rates alone */
	const char *state_dir;          /* for local commands; NULL: none can be run */
	const char *shim_path;          /* program that holds one, or a descriptor's path; NULL likewise */
	struct aws *aws;                /* shared by all deployers of a worker */
	double run_task_per_s;          /* launches that the account's quota allows, as the operator says; 0: he doesn't */
	const char *started_by;         /* "gantry/<host>", cut to what ECS takes */
};

/* The type of deployer that prepared a request: a deployer of that type can follow what came of it. */
enum conf_deployer_type exec_request_type(const char *request);

/* One per deployer and worker. */
struct exec *exec_create(const struct conf_deployer *conf, const struct exec_env *env, struct error *err);
void exec_destroy(struct exec *exec);

/* How many fallback steps (capacity providers, then single subnets; at least 1) a launch may walk down. */
unsigned exec_steps(const struct exec *exec);

/* The frozen parameters of job->attempt (number, step and token are set), the caller's to free.  NULL with
 * ERROR_INVALID: the message asks for what is not allowed, or is too large (the text says how large). */
char *exec_prepare(struct exec *exec, const struct job *job, struct error *err);

/* Starts it; handle is lent.  err kinds: THROTTLED (rates, capacity: try again, or the next step),
 * TEMPORARY and AMBIGUOUS (repeat with the same request and token), REFUSED and INVALID (the job
 * fails with code and text).  A launch that had already happened answers with its handle.  request and token are
 * lent until done, or until exec_launch_cancel(). */
typedef void exec_launched_fn(void *arg, const char *handle, const struct error *err);
struct exec_launch *exec_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg);
/* No completion after this; what was asked may still happen. */
void exec_launch_cancel(struct exec_launch *launch);
/* What an unanswered launch waits for besides its answer, for people ("no slot of 1 is free on this host");
 * NULL: nothing.  Lent until the launch goes on. */
const char *exec_launch_waits_for(const struct exec_launch *launch);
/* Whether a launch was THROTTLED for want of room (so that the next step may find some) and not for
 * the rate of calls (which passes). */
bool exec_is_capacity(const struct error *err);

enum exec_retry {
	EXEC_RETRY_NO,                  /* the deployment's own end */
	EXEC_RETRY_INFRASTRUCTURE,      /* spot interruption, host lost: a new attempt that does not count */
};

struct exec_end {
	struct job_result result;       /* succeeded, failed, or cancelled when it was stopped by a person */
	enum exec_retry retry;
	int64_t started_ms, stopped_ms; /* wall clock of the peer; 0: unknown */
};

/* Waits for the end of what handle names.  started (may be NULL) runs once when it is seen running.
 * ended runs once; then the watch is gone.  since_ms: wall time of the launch, which sets the pace.
 * handle is lent until then, or until exec_unwatch(). */
struct exec_watch_events {
	void (*started)(void *arg, int64_t started_ms);
	void (*ended)(void *arg, const struct exec_end *end);
	void *arg;
};
struct exec_watch *exec_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events);
/* NULL is allowed. */
void exec_unwatch(struct exec_watch *watch);
/* Asks for the end (StopTask); the watch tells when it is there.  Repeated by itself until answered. */
void exec_stop(struct exec_watch *watch, const char *reason);

/* Heard of elsewhere: a state change of the task that handle names.  doc (may be NULL) is the task as the
 * peer describes it; without it the watch asks soon, with others in one call.  False: no watch here has it. */
bool exec_hear(struct exec *exec, const char *handle, const json_t *doc);
/* State changes come by themselves from now on (or no more): asking becomes a slow sweep. */
void exec_set_events(struct exec *exec, bool come);

/* Looks for a launch that may have happened, by its token, when the token can no longer be trusted
 * to prevent a second one.  handle NULL and err NULL: it surely did not happen.  ERROR_LOST: it is too
 * late to know; what may pass (error_may_pass) is worth another look. */
void exec_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg);
/* How long after intended_ms a launch may be repeated with its token, in ms. */
int64_t exec_token_life_ms(const struct exec *exec);

#endif
