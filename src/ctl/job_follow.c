/* SPDX-License-Identifier: Apache-2.0 */
/* job_follow.c - see job_follow.h.
 *
 * A round: the record is read, then the log until it gives nothing more; only a log that was empty after
 * the record said "ended" has been read to its end.  Then the next attempt, the next round, or the end. */
#include "ctl/job_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

static const double look_s = 0.25;
static const double patience_s = 60;            /* a store or an api that is away for longer is an error */
static const double notable_s = 5;              /* a reload of theirs is over before that */

struct job_follow {
	struct log_source_env env;
	struct store *store;
	const char *id;
	struct job_follow_options options;
	struct job_follow_events events;
	void *arg;
	ev_timer look;
	struct job *job;                /* as read last; NULL: never yet */
	enum job_state told;            /* JOB_STATES: nothing yet */
	unsigned told_attempt;
	struct log_source *source;      /* of the attempt that is being read; NULL: none */
	unsigned attempt;               /* its number */
	unsigned read;                  /* attempts up to this one have been read, or are not of interest */
	char *trouble;                  /* told last */
	double trouble_since_s;         /* monotonic; 0: all is well */
	bool no_log;                    /* it can't be had: only states are followed */
	bool asking;                    /* the store will answer */
	bool dropped;                   /* destroyed; freed with that answer */
};

static void look_after(struct job_follow *follow, double wait_s)
{
	ev_timer_stop(follow->env.loop, &follow->look);
	ev_timer_set(&follow->look, wait_s, 0.);
	ev_timer_start(follow->env.loop, &follow->look);
}

static void next_round(struct job_follow *follow)
{
	look_after(follow, look_s);
}

static void over(struct job_follow *follow, const struct error *err)
{
	follow->events.over(follow->arg, err == NULL ? follow->job : NULL, err);
}

/* -- trouble ---------------------------------------------------------------------------------- */

/* False when it has lasted too long. */
static bool bear(struct job_follow *follow)
{
	double now_s = clock_monotonic_s();

	if (follow->trouble_since_s == 0)
		follow->trouble_since_s = now_s;
	return now_s - follow->trouble_since_s <= patience_s;
}

static bool is_new_trouble(struct job_follow *follow, const char *text)
{
	if (follow->source != NULL && clock_monotonic_s() - follow->trouble_since_s < notable_s)
		return false;
	if (follow->trouble != NULL && strcmp(follow->trouble, text) == 0)
		return false;
	xreplace(&follow->trouble, text);
	return follow->events.trouble != NULL;
}

/* -- logs ------------------------------------------------------------------------------------- */

static void go_on(struct job_follow *follow);

static bool attempt_has_ended(const struct job_follow *follow)
{
	return job_state_final(follow->job->state) || follow->job->attempt.number > follow->attempt;
}

static void end_attempt(struct job_follow *follow)
{
	log_source_destroy(follow->source);
	follow->source = NULL;
	follow->read = follow->attempt;
	go_on(follow);
}

static void on_log_failed(struct job_follow *follow, const struct error *err)
{
	struct error kept = *err;

	if (follow->options.once) {
		over(follow, &kept);
		return;
	}
	if (!bear(follow) || !error_may_pass(err->kind)) {
		follow->no_log = err->kind != ERROR_LOST;
		follow->read = follow->attempt;
		log_source_destroy(follow->source);
		follow->source = NULL;
	}
	next_round(follow);
	if (is_new_trouble(follow, kept.text))
		follow->events.trouble(follow->arg, kept.text);
}

static void on_log(void *arg, const char *bytes, size_t size, const struct error *err)
{
	struct job_follow *follow = arg;

	if (err != NULL) {
		on_log_failed(follow, err);
		return;
	}
	follow->trouble_since_s = 0;
	if (size > 0) {
		log_source_pull(follow->source, attempt_has_ended(follow), on_log, follow);
		follow->events.log(follow->arg, follow->attempt, log_source_offset(follow->source) - (int64_t)size, bytes, size);
	} else if (follow->options.once || (attempt_has_ended(follow) && log_source_complete(follow->source))) {
		end_attempt(follow);
	} else {
		next_round(follow);
	}
}

static void read_attempt(struct job_follow *follow, unsigned number, const char *handle)
{
	follow->attempt = number;
	follow->source = log_source_create(&follow->env, follow->job, number, handle);
	log_source_pull(follow->source, attempt_has_ended(follow), on_log, follow);
}

static bool free_if_dropped(struct job_follow *follow)
{
	follow->asking = false;
	if (!follow->dropped)
		return false;
	job_destroy(follow->job);
	free(follow->trouble);
	free(follow);
	return true;
}

/* Reads the first launched attempt that was not read yet; false when there is none. */
static bool read_next(struct job_follow *follow, const struct store_attempt *attempts, size_t count)
{
	const struct job_attempt *present = &follow->job->attempt;

	for (size_t i = 0; i < count; i++) {
		if (attempts[i].number > follow->read && attempts[i].handle != NULL &&
		    (follow->options.attempt == 0 || attempts[i].number == follow->options.attempt)) {
			read_attempt(follow, attempts[i].number, attempts[i].handle);
			return true;
		}
	}
	/* A store that was upgraded knows nothing of attempts before that. */
	if (present->number > follow->read && present->handle != NULL && (follow->options.attempt == 0 ||
	    follow->options.attempt == present->number)) {
		read_attempt(follow, present->number, present->handle);
		return true;
	}
	return false;
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct job_follow *follow = arg;

	if (free_if_dropped(follow) || (err == NULL && read_next(follow, attempts, count)))
		return;
	if (err == NULL && (job_state_final(follow->job->state) || follow->options.once)) {
		follow->read = follow->job->attempt.number;
		go_on(follow);
	} else {
		next_round(follow);
	}
}

/* Whether there may be an attempt whose log is wanted and was not read. */
static bool wants_attempt(const struct job_follow *follow)
{
	return follow->events.log != NULL && !follow->no_log && follow->job->attempt.number > follow->read &&
		(follow->options.attempt == 0 || follow->read < follow->options.attempt);
}

static bool only_attempt_is_read(const struct job_follow *follow)
{
	return follow->options.attempt > 0 && follow->read >= follow->options.attempt;
}

/* Whether all that earlier attempts have written is told, as far as it is wanted. */
static bool is_at_present(const struct job_follow *follow)
{
	if (follow->source != NULL)
		return follow->attempt == follow->job->attempt.number;
	return !wants_attempt(follow) || follow->read + 1 >= follow->job->attempt.number;
}

/* What an attempt wrote comes before what came after it, and the end is told with the last log's: by over(). */
static bool has_news(const struct job_follow *follow)
{
	const struct job *job = follow->job;

	return follow->events.state != NULL && !job_state_final(job->state) &&
		(follow->told != job->state || follow->told_attempt != job->attempt.number) && is_at_present(follow);
}

static void go_on(struct job_follow *follow)
{
	if (has_news(follow)) {
		follow->told = follow->job->state;
		follow->told_attempt = follow->job->attempt.number;
		/* It may destroy us, so the rest is another round's. */
		look_after(follow, 0.);
		follow->events.state(follow->arg, follow->job);
	} else if (follow->source != NULL) {
		log_source_pull(follow->source, attempt_has_ended(follow), on_log, follow);
	} else if (wants_attempt(follow)) {
		follow->asking = true;
		store_attempts(follow->store, follow->id, on_attempts, follow);
	} else if (job_state_final(follow->job->state) || follow->options.once || only_attempt_is_read(follow)) {
		over(follow, NULL);
	} else {
		next_round(follow);
	}
}

/* -- the record ------------------------------------------------------------------------------- */

static void on_not_found(struct job_follow *follow, const struct error *err)
{
	struct error missing;

	if (err != NULL ? error_may_pass(err->kind) && bear(follow) && !follow->options.once :
	    follow->job == NULL && follow->options.awaited) {
		next_round(follow);
		return;
	}
	if (err == NULL)
		error_set(&missing, ERROR_INVALID, "no such job");
	over(follow, err != NULL ? err : &missing);
}

/* Sets where reading begins, when the job is seen for the first time. */
static void begin(struct job_follow *follow, const struct job *job)
{
	if (follow->options.attempt > 0)
		follow->read = follow->options.attempt - 1;
	else if (!follow->options.whole && job->attempt.number > 0)
		follow->read = job->attempt.number - 1;
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct job_follow *follow = arg;

	if (free_if_dropped(follow))
		return;
	if (job == NULL) {
		on_not_found(follow, err);
		return;
	}
	follow->trouble_since_s = 0;
	if (follow->job == NULL)
		begin(follow, job);
	job_destroy(follow->job);
	follow->job = job_copy(job);
	go_on(follow);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct job_follow *follow = container_of(timer, struct job_follow, look);

	(void)loop, (void)revents;
	follow->asking = true;
	store_find(follow->store, follow->id, on_found, follow);
}

struct job_follow *job_follow_create(const struct log_source_env *env, struct store *store, const char *id,
	const struct job_follow_options *options, const struct job_follow_events *events, void *arg)
{
	struct job_follow *follow = xnew(struct job_follow);

	follow->env = *env;
	follow->store = store;
	follow->id = id;
	follow->options = *options;
	follow->told = JOB_STATES;
	follow->events = *events;
	follow->arg = arg;
	ev_timer_init(&follow->look, on_look, 0., 0.);
	ev_timer_start(env->loop, &follow->look);
	return follow;
}

void job_follow_destroy(struct job_follow *follow)
{
	if (follow == NULL)
		return;
	ev_timer_stop(follow->env.loop, &follow->look);
	log_source_destroy(follow->source);
	follow->source = NULL;
	follow->dropped = true;
	if (!follow->asking)
		free_if_dropped(follow);
}
