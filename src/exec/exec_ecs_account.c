/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_account.c - what all ECS deployers of a worker share: how fast ECS may be asked, the queue of
 * launches that wait for it, and a schedule of looks for each cluster.
 *
 * The list of accounts is the one variable of this process that lives outside of an object: see
 * exec_ecs.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"

/* Fargate launches 20 tasks a second for every account; raised quotas are found out.  DescribeTasks takes 20 calls a
 * second and a hundred at once from all who use the account: the looks of all workers stay below, and those of one
 * that must do without the others far below.  Only where ECS takes launches much faster than from everybody, the
 * looks at what is launched may be faster, too; and only those of the worker that launched it, as old tasks that
 * are looked at more often would cost the others' CPU for nothing. */
static const double run_per_s = 20, run_burst = 20, run_max_per_s = 20000, run_alone_max_per_s = 500;
static const double launches_per_describe = 20;
static const double describe_per_s = 10, describe_burst = 50, describe_max_per_s = 16;
static const double describe_alone_per_s = 7, describe_alone_burst = 20;

static struct list accounts = { &accounts, &accounts };

static void on_launch_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	ecs_launches_run(container_of(timer, struct ecs_account, launch_timer));
}

static void on_news_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	ecs_watches_tell(container_of(timer, struct ecs_account, news_timer));
}

static void more_launches(void *arg)
{
	ecs_launches_run(arg);
}

static void more_describes(void *arg)
{
	ecs_clusters_run(arg);
}

/* By account, not by access key: each host of a role has keys of its own.  Those of us that have not seen an
 * ARN yet share a bucket too. */
static void name_bucket(void *arg, const char *action, char bucket[LIMIT_RATE_BUCKET_BYTES])
{
	const struct ecs_account *account = arg;

	snprintf(bucket, LIMIT_RATE_BUCKET_BYTES, "ecs/%s/%s/%s", aws_region(account->aws),
		account->id[0] != '\0' ? account->id : "unknown", action);
}

bool ecs_account_take_describe(struct ecs_account *account, unsigned waiting, double *wait_s)
{
	double fast_per_s = rate_share_use_per_s(&account->run_rate) / launches_per_describe;
	double own_per_s = fast_per_s > describe_max_per_s ? fast_per_s : describe_max_per_s;
	double now_s = clock_monotonic_s();

	rate_share_allow(&account->describe_rate, own_per_s);
	rate_set(&account->own_looks, own_per_s, now_s);
	*wait_s = rate_wait_s(&account->own_looks, now_s);
	if (*wait_s > 0)
		return false;
	if (!rate_share_take(&account->describe_rate, waiting)) {
		*wait_s = rate_share_wait_s(&account->describe_rate);
		return false;
	}
	return rate_take(&account->own_looks, now_s);
}

void ecs_account_note_arn(struct ecs_account *account, const char *arn)
{
	const char *at = arn;
	size_t digits;

	if (account->id[0] != '\0' || arn == NULL || strncmp(arn, "arn:", 4) != 0)
		return;
	for (int colons = 0; colons < 4 && at != NULL; colons++) {
		at = strchr(at, ':');
		at = at != NULL ? at + 1 : NULL;
	}
	digits = at != NULL ? strspn(at, "0123456789") : 0;
	if (digits == ECS_ACCOUNT_BYTES - 1 && at[digits] == ':')
		memcpy(account->id, at, digits);
}

static struct ecs_account *find(const struct aws *aws)
{
	struct ecs_account *account;

	list_each(account, &accounts, link) {
		if (account->aws == aws)
			return account;
	}
	return NULL;
}

static void rates_init(struct ecs_account *account, const struct exec_env *env)
{
	const struct rate_plan run = {
		.action = "RunTask", .initial_per_s = run_per_s, .max_per_s = run_max_per_s, .burst = run_burst,
		.alone_initial_per_s = run_per_s, .alone_max_per_s = fmax(run_alone_max_per_s, env->run_task_per_s),
		.alone_burst = run_burst, .begin_per_s = env->run_task_per_s, .rates = env->rates,
		.log = &account->log, .name = name_bucket, .more = more_launches, .arg = account,
	};
	const struct rate_plan describe = {
		.action = "DescribeTasks", .initial_per_s = describe_per_s, .max_per_s = describe_max_per_s,
		.burst = describe_burst, .alone_initial_per_s = describe_alone_per_s,
		.alone_max_per_s = describe_alone_per_s, .alone_burst = describe_alone_burst,
		.begin_per_s = env->run_task_per_s / launches_per_describe, .rates = env->rates,
		.log = &account->log, .name = name_bucket, .more = more_describes, .arg = account,
	};

	rate_share_init(&account->run_rate, &run);
	rate_share_init(&account->describe_rate, &describe);
	rate_init(&account->own_looks, describe_max_per_s, describe_burst, describe_max_per_s, clock_monotonic_s());
}

struct ecs_account *ecs_account_get(const struct exec_env *env)
{
	struct ecs_account *account = find(env->aws);

	if (account == NULL) {
		account = xnew(struct ecs_account);
		account->aws = env->aws;
		account->loop = env->loop;
		log_init(&account->log, env->log, "ecs");
		rates_init(account, env);
		list_init(&account->launches);
		list_init(&account->clusters);
		ev_timer_init(&account->launch_timer, on_launch_time, 0., 0.);
		ev_timer_init(&account->news_timer, on_news_time, 0., 0.);
		list_append(&accounts, &account->link);
	}
	account->users++;
	return account;
}

void ecs_account_put(struct ecs_account *account)
{
	if (account == NULL || --account->users > 0)
		return;
	if (account->gone != NULL)
		*account->gone = true;
	ev_timer_stop(account->loop, &account->launch_timer);
	ev_timer_stop(account->loop, &account->news_timer);
	rate_share_finish(&account->run_rate);
	rate_share_finish(&account->describe_rate);
	table_finish(&account->watches);
	list_remove(&account->link);
	free(account);
}

struct aws_call *ecs_call(struct ecs_account *account, const char *action, json_t *input, aws_reply_fn *done, void *arg)
{
	struct aws_request request = { .service = AWS_ECS, .action = action, .input = input };
	struct aws_call *call = aws_call(account->aws, &request, done, arg);

	json_decref(input);
	return call;
}

void ecs_arm(struct ecs_account *account, ev_timer *timer, double delay_s)
{
	ev_timer_stop(account->loop, timer);
	ev_timer_set(timer, delay_s > 0 ? delay_s : 0., 0.);
	ev_timer_start(account->loop, timer);
}
