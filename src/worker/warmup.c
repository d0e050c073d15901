/* SPDX-License-Identifier: Apache-2.0 */
/* warmup.c - what must be true before a worker says READY.
 *
 * The store is open and we are registered in it, credentials were found if any are needed, every queue has answered.
 * What refuses us (no such queue, access denied, a damaged store) ends this process with the
 * reason, and with it the reload; what is merely away leaves us ready but degraded, as the old
 * generation would be no better off. */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "base/mem.h"
#include "exec/process_dir.h"
#include "worker/worker.h"

static const double STORE_RETRY_S = 0.05;

struct warmup {
	struct worker *worker;
	unsigned pending;               /* answers that we wait for */
	bool refused;
	char degraded[REPORT_TEXT_BYTES];       /* the last thing that is away; "" */
	ev_timer store_retry;
};

static void finish(struct warmup *warmup)
{
	struct worker *worker = warmup->worker;

	if (--warmup->pending > 0 || warmup->refused)
		return;
	worker->state = WORKER_PARKED;
	if (warmup->degraded[0] != '\0')
		log_warn(&worker->log, "ready, but degraded: %s", warmup->degraded);
	snprintf(worker->degraded, sizeof(worker->degraded), "%s", warmup->degraded);
	channel_send(worker, REPORT_READY, "", worker->degraded);
	warmup_cancel(worker);
}

/* what: "" when the error says it. */
static void refuse(struct warmup *warmup, const char *what, const struct error *err)
{
	struct worker *worker = warmup->worker;
	char text[REPORT_TEXT_BYTES];

	if (warmup->refused)
		return;
	warmup->refused = true;
	snprintf(text, sizeof(text), "%s%s%s", what, what[0] != '\0' ? ": " : "", err->text);
	log_error(&worker->log, "cannot become ready: %s", text);
	channel_send(worker, REPORT_REFUSED, "", text);
	worker_leave(worker, 2);
}

static void answered(struct warmup *warmup, const char *what, const struct error *err)
{
	if (err != NULL && !error_may_pass(err->kind)) {
		refuse(warmup, what, err);
		return;
	}
	if (err != NULL)
		snprintf(warmup->degraded, sizeof(warmup->degraded), "%s: %s", what, err->text);
	finish(warmup);
}

static void on_queue(void *arg, const struct error *err)
{
	struct intake *intake = arg;
	char what[REPORT_NAME_BYTES + 16];

	snprintf(what, sizeof(what), "queue %s", intake->conf->name);
	if (intake->worker->warmup != NULL)
		answered(intake->worker->warmup, what, err);
}

/* Queues are asked once there are credentials to ask with: without them they could only say the same. */
static void on_credentials(void *arg, const struct error *err)
{
	struct warmup *warmup = arg;
	struct worker *worker = warmup->worker;

	if (err == NULL) {
		for (size_t i = 0; i < worker->conf->queue_count; i++) {
			warmup->pending++;
			queue_probe(worker->intakes[i].queue, on_queue, &worker->intakes[i]);
		}
	}
	answered(warmup, "credentials", err);
}

static void on_registered(void *arg, const struct error *err)
{
	struct worker *worker = arg;
	struct warmup *warmup = worker->warmup;

	/* NULL: told to leave meanwhile. */
	if (warmup == NULL)
		return;
	if (err != NULL) {
		refuse(warmup, "", err);
		return;
	}
	adopt_start_ticking(worker);
	finish(warmup);
}

static void open_store(struct warmup *warmup)
{
	struct worker *worker = warmup->worker;
	const char *state_dir = worker->conf->supervisor.state_dir;
	char place[PROCESS_ID_BYTES] = "";
	struct store_options options = {
		.loop = worker->loop,
		.log = &worker->log,
		.owner = worker->heritage.owner,
		.lease_ms = worker->conf->supervisor.lease_ms,
		.place = place,
		.migrate = worker->heritage.slot == 0,
		.check = worker->heritage.first != 0,
	};
	struct error err;

	/* There by now, if a deployer of local commands is configured, or was. */
	if (state_dir != NULL && !process_state_find(state_dir, place))
		place[0] = '\0';
	worker->store = store_open(worker->conf->store, &options, &err);
	if (worker->store != NULL) {
		store_renew(worker->store, on_registered, worker);
	} else if (error_may_pass(err.kind)) {
		log_debug(&worker->log, "store: %s; trying again", err.text);
		ev_timer_set(&warmup->store_retry, STORE_RETRY_S, 0.);
		ev_timer_start(worker->loop, &warmup->store_retry);
	} else {
		refuse(warmup, "", &err);
	}
}

static void on_store_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	open_store(container_of(timer, struct warmup, store_retry));
}

/* Local commands that come off Redis or the store's own queue need no credentials. */
static bool wants_aws(const struct conf *conf)
{
	bool wanted = false;

	for (size_t i = 0; i < conf->queue_count; i++)
		wanted |= conf->queues[i].type == CONF_QUEUE_SQS;
	for (size_t i = 0; i < conf->deployer_count; i++)
		wanted |= conf->deployers[i].type == CONF_DEPLOYER_ECS;
	return wanted;
}

void warmup_start(struct worker *worker)
{
	struct warmup *warmup = xnew(struct warmup);

	worker->warmup = warmup;
	warmup->worker = worker;
	warmup->pending = 2;
	ev_init(&warmup->store_retry, on_store_retry);
	if (wants_aws(worker->conf))
		aws_probe(worker->aws, on_credentials, warmup);
	else
		on_credentials(warmup, NULL);
	open_store(warmup);
}

void warmup_cancel(struct worker *worker)
{
	if (worker->warmup == NULL)
		return;
	ev_timer_stop(worker->loop, &worker->warmup->store_retry);
	free(worker->warmup);
	worker->warmup = NULL;
}
