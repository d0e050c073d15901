/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_launch.c - RunTask, until it is answered.
 *
 * Every try names the same token and parameters, so that a try too many finds the task of an earlier
 * one; also the one that libcurl makes by itself when ECS has closed the connection it wanted to reuse.
 *
 * A token is known to ECS for an hour.  The caller begins while there is time enough, and whoever has waited
 * too long for the rate since then is given back to it unsent.
 *
 * An answer that speaks of missing capacity has started a task now and then.  So it is asked once more
 * under the same token before it is believed; after that the caller may go on with another token. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_ecs.h"

enum { LAUNCH_TRIES = 3 };
static const double again_first_s = 0.2, again_max_s = 5;
static const double confirm_after_s = 1;

struct ecs_launch {
	struct exec_launch face;
	struct list mine;               /* exec_ecs.launches */
	struct list link;               /* ecs_account.launches, while it waits for the rate */
	struct ecs_account *account;
	const char *request, *token;    /* lent by the caller */
	struct aws_call *call;
	ev_timer timer;                 /* until the next try */
	int64_t begun_boot_ms, begun_wall_ms;
	bool late;                      /* not to be sent any more */
	unsigned tries;
	bool maybe;                     /* a try may have started it */
	bool confirming;                /* capacity was missing; asked once more */
	exec_launched_fn *done;
	void *arg;
};

/* One call less; those that waited only for that go on. */
static void call_over(struct ecs_account *account)
{
	if (account->launching-- == LIMIT_ECS_LAUNCHES)
		ecs_arm(account, &account->launch_timer, 0);
}

static void queue_enter(struct ecs_launch *launch)
{
	list_append(&launch->account->launches, &launch->link);
	launch->account->waiting++;
}

static void queue_leave(struct ecs_launch *launch)
{
	if (list_empty(&launch->link))
		return;
	list_remove(&launch->link);
	launch->account->waiting--;
}

static void launch_free(struct ecs_launch *launch)
{
	if (launch->call != NULL) {
		call_over(launch->account);
		aws_call_cancel(launch->call);
	}
	ev_timer_stop(launch->account->loop, &launch->timer);
	list_remove(&launch->mine);
	queue_leave(launch);
	free(launch);
}

static void launch_end(struct ecs_launch *launch, const char *handle, const struct error *err)
{
	char *kept = xstrdup(handle);
	exec_launched_fn *done = launch->done;
	void *arg = launch->arg;

	launch_free(launch);
	done(arg, kept, err);
	free(kept);
}

static void again_in(struct ecs_launch *launch, double delay_s)
{
	ecs_arm(launch->account, &launch->timer, delay_s);
}

/* What the error leaves to do here; false: tell it. */
static bool try_again(struct ecs_launch *launch, const struct error *err)
{
	if (ecs_is_capacity(err)) {
		if (launch->confirming)
			return false;
		launch->confirming = true;
		again_in(launch, confirm_after_s);
		return true;
	}
	if (!error_may_pass(err->kind) || launch->tries >= LAUNCH_TRIES)
		return false;
	again_in(launch, backoff_s(launch->tries, again_first_s, again_max_s, random_unit()));
	return true;
}

/* decided: ECS took the call and told a reason in `failures`.  One that is neither capacity nor known to
 * be for good is tried a few times and then believed, as it would hold the lock for ever otherwise. */
static void failed(struct ecs_launch *launch, struct error *err, bool decided)
{
	bool slow_down = err->kind == ERROR_THROTTLED && !ecs_is_capacity(err);

	if (err->kind == ERROR_AMBIGUOUS)
		launch->maybe = true;
	if (slow_down && !decided)
		rate_share_throttled(&launch->account->run_rate);
	if (try_again(launch, err))
		return;
	if (slow_down && decided)
		err->kind = ERROR_REFUSED;
	if (launch->maybe && err->kind != ERROR_AMBIGUOUS) {
		error_prefix(err, "an earlier try may have started the task");
		err->kind = ERROR_AMBIGUOUS;
	}
	launch_end(launch, NULL, err);
}

static void on_reply(void *arg, const struct aws_reply *reply, const struct error *given)
{
	struct ecs_launch *launch = arg;
	struct ecs_account *account = launch->account;
	struct error err = { 0 };
	const char *arn;

	launch->call = NULL;
	call_over(account);
	if (given == NULL) {
		rate_share_accepted(&account->run_rate);
		arn = ecs_run_parse(reply->doc, &err);
	} else {
		arn = ecs_run_error(given, reply->error_doc, &err);
		if (arn != NULL)
			log_warn(&launch->face.exec->log, "the launch had happened with other parameters; going on with %s", arn);
	}
	if (arn != NULL) {
		ecs_account_note_arn(account, arn);
		launch_end(launch, arn, NULL);
	} else
		failed(launch, &err, given == NULL);
}

/* What ecs_request_build() made is a JSON object with members; it is read by nobody here. */
static const char request_begin[] = "{\"";

static bool is_request(const char *text)
{
	return strncmp(text, request_begin, strlen(request_begin)) == 0;
}

/* Made for each try: thousands may wait for the rate. */
static void launch_send(struct ecs_launch *launch)
{
	char *input = xasprintf("{\"clientToken\":\"%s\",%s", launch->token, launch->request + 1);
	struct aws_request request = {
		.service = AWS_ECS, .action = "RunTask", .text = input, .reads = ecs_run_reads, .tries = 1,
	};

	launch->tries++;
	launch->account->launching++;
	launch->call = aws_call(launch->account->aws, &request, on_reply, launch);
	free(input);
}

/* By whichever clock says more: the boot clock sees no pause of the whole machine, the wall clock may be set
 * back. */
static bool is_late(const struct ecs_launch *launch)
{
	return clock_boot_ms() - launch->begun_boot_ms > ECS_SEND_LIFE_MS ||
	       clock_wall_ms() - launch->begun_wall_ms > ECS_SEND_LIFE_MS;
}

void ecs_launches_run(struct ecs_account *account)
{
	while (!list_empty(&account->launches) && account->launching < LIMIT_ECS_LAUNCHES) {
		struct ecs_launch *launch = list_first(&account->launches, struct ecs_launch, link);

		if (is_late(launch)) {
			queue_leave(launch);
			launch->late = true;
			again_in(launch, 0);
			continue;
		}
		if (!rate_share_take(&account->run_rate, account->waiting)) {
			ecs_arm(account, &account->launch_timer, rate_share_wait_s(&account->run_rate));
			return;
		}
		queue_leave(launch);
		launch_send(launch);
	}
}

static void give_back(struct ecs_launch *launch)
{
	struct error err;

	error_set(&err, launch->maybe ? ERROR_AMBIGUOUS : ERROR_THROTTLED,
		"RunTask: not sent, as its turn did not come within %d minutes%s", ECS_SEND_LIFE_MS / 60000,
		launch->maybe ? "; an earlier try may have started the task" : "");
	launch_end(launch, NULL, &err);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct ecs_launch *launch = container_of(timer, struct ecs_launch, timer);
	struct error err;

	(void)loop;
	(void)revents;
	if (launch->late) {
		give_back(launch);
	} else if (!is_request(launch->request)) {
		error_set(&err, ERROR_INVALID, "the stored launch parameters can't be read");
		launch_end(launch, NULL, &err);
	} else {
		struct ecs_account *account = launch->account;

		queue_enter(launch);
		ecs_launches_run(account);
	}
}

struct exec_launch *ecs_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg)
{
	struct exec_ecs *ecs = container_of(exec, struct exec_ecs, face);
	struct ecs_launch *launch = xnew(struct ecs_launch);

	launch->face.exec = exec;
	launch->account = ecs->account;
	launch->done = done;
	launch->arg = arg;
	launch->begun_boot_ms = clock_boot_ms();
	launch->begun_wall_ms = clock_wall_ms();
	list_init(&launch->link);
	list_append(&ecs->launches, &launch->mine);
	ev_timer_init(&launch->timer, on_time, 0., 0.);
	launch->request = request;
	launch->token = token;
	if (!is_request(request)) {
		again_in(launch, 0);
		return &launch->face;
	}
	queue_enter(launch);
	ecs_launches_run(launch->account);
	return &launch->face;
}

void ecs_launch_cancel(struct exec_launch *face)
{
	launch_free(container_of(face, struct ecs_launch, face));
}

void ecs_launches_cancel(struct exec_ecs *exec)
{
	while (!list_empty(&exec->launches))
		launch_free(list_first(&exec->launches, struct ecs_launch, mine));
}
