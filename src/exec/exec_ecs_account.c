/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_account.c - what all ECS deployers of a worker share: how fast ECS may be asked, the queue of
 * launches that wait for it, and a schedule of looks for each cluster.
 *
 * The list of accounts is the one variable of this process that lives outside of an object: see
 * exec_ecs.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"

/* Fargate launches 20 tasks a second for every account, which is also what DescribeTasks takes; the
 * looks stay far below, as other tools of the account need them too. */
static const double run_per_s = 20, run_burst = 20, run_max_per_s = 500;
static const double describe_per_s = 7, describe_burst = 14;

static struct list accounts = { &accounts, &accounts };

static void on_launch_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	ecs_launches_run(container_of(timer, struct ecs_account, launch_timer));
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

struct ecs_account *ecs_account_get(const struct exec_env *env)
{
	struct ecs_account *account = find(env->aws);
	double now_s = clock_monotonic_s();

	if (account == NULL) {
		account = xnew(struct ecs_account);
		account->aws = env->aws;
		account->loop = env->loop;
		log_init(&account->log, env->log, "ecs");
		rate_init(&account->run_rate, run_per_s, run_burst, run_max_per_s, now_s);
		rate_init(&account->describe_rate, describe_per_s, describe_burst, describe_per_s, now_s);
		list_init(&account->launches);
		list_init(&account->clusters);
		ev_timer_init(&account->launch_timer, on_launch_time, 0., 0.);
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
