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

struct exec_env {
	struct ev_loop *loop;
	const struct log *log;
	struct aws *aws;                /* shared by all deployers of a worker */
	const char *started_by;         /* "gantry/<host>", cut to what ECS takes */
};

/* One per deployer and worker. */
struct exec *exec_create(const struct conf_deployer *conf, const struct exec_env *env, struct error *err);
void exec_destroy(struct exec *exec);

/* How many fallback steps (capacity providers, at least 1) a launch may walk down. */
unsigned exec_steps(const struct exec *exec);

/* The frozen parameters of job->attempt (number and step are set), the caller's to free.  NULL with
 * ERROR_INVALID: the message asks for what is not allowed, or is too large (the text says how large). */
char *exec_prepare(struct exec *exec, const struct job *job, struct error *err);

/* Starts it; handle is lent.  err kinds: THROTTLED (rates, capacity: try again, or the next step),
 * TEMPORARY and AMBIGUOUS (repeat with the same request and token), REFUSED and INVALID (the job
 * fails with code and text).  A launch that had already happened answers with its handle. */
typedef void exec_launched_fn(void *arg, const char *handle, const struct error *err);
struct exec_launch *exec_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg);
/* No completion after this; what was asked may still happen. */
void exec_launch_cancel(struct exec_launch *launch);
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
 * ended runs once; then the watch is gone.  since_ms: wall time of the launch, which sets the pace. */
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

/* Looks for a launch that may have happened, by its token, when the token can no longer be trusted
 * to prevent a second one.  handle NULL and err NULL: it surely did not happen.  ERROR_LOST: it is too
 * late to know; what may pass (error_may_pass) is worth another look. */
void exec_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg);
/* How long after intended_ms a launch may be repeated with its token, in ms. */
int64_t exec_token_life_ms(const struct exec *exec);

#endif
