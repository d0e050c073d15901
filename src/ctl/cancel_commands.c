/* SPDX-License-Identifier: Apache-2.0 */
/* cancel_commands.c - cancel, unlock, retry: the store is asked, the workers are hinted, and the end is
 * waited for where there is one. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "ctl/store_access.h"

/* Another process ends the job; all we see of it is its record. */
static const double look_s = 0.2;
/* Its end is being told, and its message deleted, by a worker: until then it can't begin again. */
static const double settle_look_s = 0.1;
enum { CANCEL_WAIT_S = 600, SETTLE_WAIT_S = 5 };

struct cancel {
	struct asking asking;
	bool wait;
	char *job_id;                   /* whose end is waited for */
	ev_timer look;
	double until_s;                 /* monotonic */
};

static void say(struct cancel *cancel, const struct job *job, const char *text)
{
	const char *id = job != NULL ? job->id : cancel->job_id;
	json_t *doc;

	if (!cancel->asking.ctl->json) {
		printf("%s%s%s\n", id != NULL ? id : "", id != NULL ? ": " : "", text);
		return;
	}
	doc = json_pack("{s:o,s:o,s:o}", "id", json_at_text(id), "state",
		json_at_text(job != NULL ? job_state_name(job->state) : NULL), "text", json_at_text(text));
	ctl_print_json(doc);
	json_decref(doc);
}

/* A job that ended by itself before its stop took effect keeps its own result: that is told, too. */
static void tell_end(struct cancel *cancel, const struct job *job)
{
	char *text = xasprintf("%s%s%s", job_state_name(job->state), job->detail != NULL ? ": " : "",
		job->detail != NULL ? job->detail : "");

	say(cancel, job, text);
	free(text);
	cancel->asking.status = CONTROL_DONE;
	ev_break(cancel->asking.loop, EVBREAK_ALL);
}

static void look_later(struct cancel *cancel)
{
	ev_timer_set(&cancel->look, look_s, 0.);
	ev_timer_start(cancel->asking.loop, &cancel->look);
}

static void on_looked(void *arg, const struct job *job, const struct error *err)
{
	struct cancel *cancel = arg;

	if (job != NULL && job_state_final(job->state)) {
		tell_end(cancel, job);
	} else if (clock_monotonic_s() > cancel->until_s) {
		fprintf(stderr, "gantryctl: %s is still %s; see gantryctl why\n", cancel->job_id,
			job != NULL ? job_state_name(job->state) : err != NULL ? err->text : "there");
		cancel->asking.status = CONTROL_DEFERRED;
		ev_break(cancel->asking.loop, EVBREAK_ALL);
	} else {
		look_later(cancel);
	}
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct cancel *cancel = container_of(timer, struct cancel, look);

	(void)loop, (void)revents;
	store_find(cancel->asking.store, cancel->job_id, on_looked, cancel);
}

static void wait_for_end(struct cancel *cancel)
{
	cancel->until_s = clock_monotonic_s() + CANCEL_WAIT_S;
	ev_init(&cancel->look, on_look);
	look_later(cancel);
}

/* Begun: its owner is told, and by default waited for. */
static void begun(struct cancel *cancel)
{
	asking_hint(&cancel->asking);
	if (cancel->wait) {
		wait_for_end(cancel);
		return;
	}
	say(cancel, NULL, "cancelling");
	cancel->asking.status = CONTROL_DONE;
	ev_break(cancel->asking.loop, EVBREAK_ALL);
}

static void on_answer(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct cancel *cancel = arg;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s\n", err->text);
	} else if (answer->verdict == STORE_ASKED_UNKNOWN) {
		fprintf(stderr, "gantryctl: there is none of that name\n");
	} else if (answer->verdict == STORE_ASKED_REFUSED) {
		fprintf(stderr, "gantryctl: %s has ended already: %s\n", answer->job_id, job_state_name(answer->state));
	} else {
		xreplace(&cancel->job_id, answer->job_id);
		if (answer->verdict == STORE_ASKED_BEGUN) {
			begun(cancel);
			return;
		}
		asking_hint(&cancel->asking);
		say(cancel, NULL, "cancelled before it was launched");
		cancel->asking.status = CONTROL_DONE;
	}
	ev_break(cancel->asking.loop, EVBREAK_ALL);
}

typedef void ask_fn(struct store *store, const char *name, const char *by, store_answer_fn *done, void *arg);

static int ask(struct ctl *ctl, const char *name, bool wait, ask_fn *fn)
{
	struct cancel cancel = { .wait = wait };

	if (asking_open(&cancel.asking, ctl)) {
		fn(cancel.asking.store, name, cancel.asking.by, on_answer, &cancel);
		ev_run(cancel.asking.loop, 0);
		ev_timer_stop(cancel.asking.loop, &cancel.look);
	}
	asking_close(&cancel.asking);
	free(cancel.job_id);
	return cancel.asking.status;
}

static int run(struct ctl *ctl, int argc, char **argv, ask_fn *fn)
{
	bool wait = true;
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option != 'n')
			return command_usage(argv[0]);
		wait = false;
	}
	if (optind + 1 != argc)
		return command_usage(argv[0]);
	return ask(ctl, argv[optind], wait, fn);
}

int run_cancel(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, store_cancel);
}

/* -- unlock ----------------------------------------------------------------------------------- */

/* Free now: nobody held it, or whoever did had ended, or had not been launched and ends by this. */
static void tell_free(struct cancel *cancel, const struct store_answer *answer)
{
	char *text = answer->job_id != NULL ? xasprintf("it is %s; the key is free", job_state_name(answer->state)) :
		xstrdup("nobody holds that key; it is free");

	asking_hint(&cancel->asking);
	cancel->job_id = answer->job_id != NULL ? xstrdup(answer->job_id) : NULL;
	say(cancel, NULL, text);
	free(text);
	cancel->asking.status = CONTROL_DONE;
	ev_break(cancel->asking.loop, EVBREAK_ALL);
}

static void on_unlocked(void *arg, const struct store_answer *answer, const struct error *err)
{
	if (err == NULL && answer->verdict == STORE_ASKED_DONE)
		tell_free(arg, answer);
	else
		on_answer(arg, answer, err);
}

static void unlock(struct store *store, const char *key, const char *by, store_answer_fn *done, void *arg)
{
	(void)done;
	store_unlock(store, key, by, on_unlocked, arg);
}

int run_unlock(struct ctl *ctl, int argc, char **argv)
{
	return run(ctl, argc, argv, unlock);
}

/* -- retry ------------------------------------------------------------------------------------ */

static void on_retried(void *arg, const struct store_answer *answer, const struct error *err);

static void on_settle_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct cancel *cancel = container_of(timer, struct cancel, look);

	(void)loop;
	(void)revents;
	store_retry_finished(cancel->asking.store, cancel->job_id, cancel->asking.by, on_retried, cancel);
}

/* It has ended just now, and those who see to the rest may be at it. */
static bool again_soon(struct cancel *cancel, const struct store_answer *answer)
{
	if (!job_state_final(answer->state))
		return false;
	if (cancel->job_id == NULL) {
		cancel->job_id = xstrdup(answer->job_id);
		cancel->until_s = clock_monotonic_s() + SETTLE_WAIT_S;
	}
	if (clock_monotonic_s() > cancel->until_s)
		return false;
	ev_timer_init(&cancel->look, on_settle_time, settle_look_s, 0.);
	ev_timer_start(cancel->asking.loop, &cancel->look);
	return true;
}

static void on_retried(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct cancel *cancel = arg;

	if (err == NULL && answer->verdict == STORE_ASKED_REFUSED && again_soon(cancel, answer))
		return;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s\n", err->text);
	} else if (answer->verdict == STORE_ASKED_UNKNOWN) {
		fprintf(stderr, "gantryctl: no such job\n");
	} else if (answer->verdict == STORE_ASKED_REFUSED) {
		fprintf(stderr, "gantryctl: %s is %s; only a job that has ended, and whose message is gone, can be retried\n",
			answer->job_id, job_state_name(answer->state));
	} else {
		asking_hint(&cancel->asking);
		xreplace(&cancel->job_id, answer->job_id);
		say(cancel, NULL, "accepted for a new attempt");
		cancel->asking.status = CONTROL_DONE;
	}
	ev_break(cancel->asking.loop, EVBREAK_ALL);
}

static void retry(struct store *store, const char *id, const char *by, store_answer_fn *done, void *arg)
{
	(void)done;
	store_retry_finished(store, id, by, on_retried, arg);
}

int run_retry(struct ctl *ctl, int argc, char **argv)
{
	return argc == 2 ? ask(ctl, argv[1], false, retry) : command_usage("retry");
}
