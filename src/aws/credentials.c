/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.c - keeps credentials at hand: one load at a time, ahead of their end, and living on
 * with old ones while the source is down.  Where they come from is credentials_plan.h's, how they are
 * fetched a provider's, and when credentials_refresh.h's. */
#include "aws/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials_impl.h"
#include "aws/credentials_plan.h"
#include "aws/credentials_refresh.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"

struct waiter {
	struct list link;
	credentials_fn *done;
	void *arg;
};

struct credentials_source {
	struct log log;
	struct ev_loop *loop;
	struct credentials_plan plan;
	struct credentials_provider *provider;  /* NULL: there is none, and nowhere says why */
	struct error nowhere;
	struct credentials *cached;     /* NULL: none yet */
	struct credentials *old;        /* replaced in this turn of the loop; a caller may still read it */
	bool rejected;                  /* cached was told to be no good */
	int64_t ends_boot_ms;           /* cached's end by the boot clock, which nobody sets */
	int64_t advisory_ms;
	double paused_until_s;          /* monotonic; a refresh has failed */
	double ahead_after_s;           /* monotonic; no refresh that nobody waits for before this */
	bool loading;
	struct list loaders;            /* waiters for the load under way */
	struct list ready;              /* waiters to be answered in the loop's next turn */
	struct list answering;          /* those who are being answered right now */
	bool telling;                   /* a completion is being called */
	bool destroyed;                 /* in that completion: only the memory is left to be freed */
	ev_timer soon;
	ev_timer deadline;              /* of the load under way */
};

/* What the wall clock says or what has passed since they came, whichever leaves less: the one may have
 * been set, the other may have begun from a wrong time. */
static int64_t left_ms(const struct credentials_source *source)
{
	int64_t wall_ms = source->cached->expires_ms - clock_wall_ms();
	int64_t boot_ms = source->ends_boot_ms - clock_boot_ms();

	return wall_ms < boot_ms ? wall_ms : boot_ms;
}

static enum refresh_need need_now(const struct credentials_source *source)
{
	struct refresh_state state = {
		.cached = source->cached != NULL,
		.rejected = source->rejected,
		.paused = clock_monotonic_s() < source->paused_until_s,
		.advisory_ms = source->advisory_ms,
	};

	if (state.cached) {
		state.lasting = source->cached->expires_ms == 0;
		state.left_ms = state.lasting ? 0 : left_ms(source);
	}
	return refresh_need(&state);
}

/* Answers all of list.  The last thing done with the source, which may vanish in a completion. */
static void answer(struct credentials_source *source, struct list *list, const struct error *err)
{
	struct waiter *waiter;

	list_splice(&source->answering, list);
	source->telling = true;
	while (!source->destroyed && (waiter = list_first(&source->answering, struct waiter, link)) != NULL) {
		credentials_fn *done = waiter->done;
		void *arg = waiter->arg;

		list_remove(&waiter->link);
		free(waiter);
		done(arg, err != NULL ? NULL : source->cached, err);
	}
	source->telling = false;
	if (source->destroyed)
		free(source);
}

static void wake_soon(struct credentials_source *source)
{
	if (ev_is_active(&source->soon))
		return;
	ev_timer_set(&source->soon, 0., 0.);
	ev_timer_start(source->loop, &source->soon);
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct credentials_source *source = container_of(timer, struct credentials_source, soon);
	const struct error *err = source->provider == NULL && source->cached == NULL ? &source->nowhere : NULL;
	struct error why;

	(void)loop;
	(void)revents;
	credentials_free(source->old);
	source->old = NULL;
	if (err != NULL) {
		why = *err;
		err = &why;
	}
	answer(source, &source->ready, err);
}

static void keep(struct credentials_source *source, struct credentials *take)
{
	int64_t life_ms = take->expires_ms - clock_wall_ms();
	char stamp[CLOCK_STAMP_BYTES];

	if (source->cached != NULL) {
		credentials_free(source->old);
		source->old = source->cached;
		wake_soon(source);
	}
	source->cached = take;
	source->rejected = false;
	source->paused_until_s = 0;
	source->ends_boot_ms = clock_boot_ms() + life_ms;
	source->advisory_ms = refresh_advisory_ms(life_ms);
	clock_stamp(take->expires_ms, stamp);
	log_info(&source->log, "AWS credentials from %s%s%s", source->provider->name,
		stamp[0] != '\0' ? ", good until " : "", stamp);
}

/* A refresh has failed.  True when those who wait get what is cached, false when they get the error. */
static bool live_on(struct credentials_source *source, const struct error *err)
{
	double pause_s;

	if (source->cached == NULL || err->kind == ERROR_REFUSED)
		return false;
	pause_s = refresh_pause_s(random_unit());
	source->paused_until_s = clock_monotonic_s() + pause_s;
	log_warn(&source->log, "AWS credentials could not be refreshed: %s; going on with those in hand, next try in %.0fs",
		err->text, pause_s);
	return true;
}

/* What a failure means where nothing was configured and IMDS only might have been there. */
static void explain(const struct credentials_source *source, struct error *err)
{
	if (source->plan.last_resort && source->cached == NULL && err->kind == ERROR_REFUSED)
		error_prefix(err, "no AWS credentials; looked at %s and IMDS", source->plan.looked);
	else
		error_prefix(err, "AWS credentials from %.120s", source->provider->name);
}

static void load_ended(struct credentials_source *source, struct credentials *take, const struct error *err)
{
	struct error why = { 0 };

	source->loading = false;
	source->ahead_after_s = clock_monotonic_s() + REFRESH_AHEAD_PAUSE_S;
	ev_timer_stop(source->loop, &source->deadline);
	if (take == NULL) {
		why = *err;
	} else if (!credentials_check(take, &why)) {
		credentials_free(take);
	} else if (take->expires_ms != 0 && take->expires_ms <= clock_wall_ms()) {
		error_set(&why, ERROR_TEMPORARY, "the source gave credentials that have already ended; "
			"is this host's clock right?");
		credentials_free(take);
	} else {
		keep(source, take);
	}
	if (why.kind == ERROR_NONE || live_on(source, &why)) {
		answer(source, &source->loaders, NULL);
		return;
	}
	explain(source, &why);
	if (list_empty(&source->loaders))
		log_error(&source->log, "%s", why.text);
	answer(source, &source->loaders, &why);
}

static void on_loaded(void *arg, struct credentials *take, const struct error *err)
{
	load_ended(arg, take, err);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct credentials_source *source = container_of(timer, struct credentials_source, deadline);
	struct error why = { 0 };

	(void)loop;
	(void)revents;
	source->provider->ops->cancel(source->provider, &why);
	if (why.kind == ERROR_NONE)
		error_set(&why, ERROR_TEMPORARY, "no answer in %.0fs", source->provider->limit_s);
	load_ended(source, NULL, &why);
}

static void start_load(struct credentials_source *source)
{
	source->loading = true;
	ev_now_update(source->loop);
	ev_timer_set(&source->deadline, source->provider->limit_s, 0.);
	ev_timer_start(source->loop, &source->deadline);
	source->provider->ops->load(source->provider, on_loaded, source);
}

struct credentials_source *credentials_create(const struct credentials_env *env, struct error *err)
{
	struct credentials_source *source = xnew(struct credentials_source);

	log_init(&source->log, env->log, "credentials");
	source->loop = env->loop;
	list_init(&source->loaders);
	list_init(&source->ready);
	list_init(&source->answering);
	ev_init(&source->soon, on_soon);
	ev_init(&source->deadline, on_deadline);
	if (!credentials_plan_make(&source->plan, env->conf, env->profile, err)) {
		free(source);
		return NULL;
	}
	source->provider = credentials_provider_create(env, &source->plan, &source->nowhere);
	/* None at all is told to whoever asks; one that can't be set up is a mistake in the configuration. */
	if (source->provider == NULL && source->plan.base != CREDENTIALS_NONE) {
		if (err != NULL)
			*err = source->nowhere;
		free(source);
		return NULL;
	}
	if (source->provider != NULL && source->provider->fixed != NULL) {
		if (!credentials_check(source->provider->fixed, err)) {
			error_prefix(err, "AWS credentials from %s", source->provider->name);
			credentials_destroy(source);
			return NULL;
		}
		keep(source, credentials_copy(source->provider->fixed));
	}
	return source;
}

static void forget_waiters(struct list *list, bool all, const void *arg)
{
	struct waiter *waiter, *next;

	list_each_safe(waiter, next, list, link) {
		if (!all && waiter->arg != arg)
			continue;
		list_remove(&waiter->link);
		free(waiter);
	}
}

void credentials_destroy(struct credentials_source *source)
{
	if (source == NULL)
		return;
	forget_waiters(&source->loaders, true, NULL);
	forget_waiters(&source->ready, true, NULL);
	forget_waiters(&source->answering, true, NULL);
	ev_timer_stop(source->loop, &source->soon);
	ev_timer_stop(source->loop, &source->deadline);
	credentials_provider_destroy(source->provider);
	credentials_free(source->cached);
	credentials_free(source->old);
	if (source->telling)
		source->destroyed = true;
	else
		free(source);
}

const struct credentials *credentials_now(struct credentials_source *source)
{
	enum refresh_need need = need_now(source);

	if (need == REFRESH_AHEAD && !source->loading && clock_monotonic_s() >= source->ahead_after_s)
		start_load(source);
	return need == REFRESH_FIRST ? NULL : source->cached;
}

void credentials_get(struct credentials_source *source, credentials_fn *done, void *arg)
{
	enum refresh_need need = need_now(source);
	struct waiter *waiter = xnew(struct waiter);

	waiter->done = done;
	waiter->arg = arg;
	if (source->provider == NULL || need == REFRESH_NOT || (need == REFRESH_AHEAD && source->loading)) {
		list_append(&source->ready, &waiter->link);
		wake_soon(source);
		return;
	}
	list_append(&source->loaders, &waiter->link);
	if (!source->loading)
		start_load(source);
}

void credentials_reject(struct credentials_source *source, const char *access_key)
{
	if (source->cached != NULL && strcmp(source->cached->access_key, access_key) == 0)
		source->rejected = true;
}

void credentials_cancel(struct credentials_source *source, void *arg)
{
	forget_waiters(&source->loaders, false, arg);
	forget_waiters(&source->ready, false, arg);
	forget_waiters(&source->answering, false, arg);
}
