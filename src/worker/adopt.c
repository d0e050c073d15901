/* SPDX-License-Identifier: Apache-2.0 */
/* adopt.c - jobs that come out of the store: those that nobody owns, and those of ours that the
 * store has news about.
 *
 * Crash and hand-over are one path.  A job is taken up where its record says it was: admitted,
 * intent without a handle, running, finished with its message still there.  Hints make this prompt;
 * the slow tick makes it sure.
 *
 * Adoption is not bounded by max_in_flight: a job whose message is not settled needs a holder for it, and
 * the one that was granted a key may be any of them, so whoever is left out could stop a whole project.
 * It goes a batch at a time, the other workers take their share between two batches, and what was
 * adopted takes the room that new messages would have had. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "worker/counters.h"
#include "worker/faults.h"
#include "worker/holding.h"
#include "worker/rest.h"
#include "worker/retention.h"
#include "worker/tell.h"

static const double FIND_AGAIN_S = 0.2, FIND_AGAIN_MAX_S = 10;

static bool may_adopt(const struct worker *worker)
{
	return worker->state == WORKER_ACTIVE;
}

/* -- taking up -------------------------------------------------------------------------------- */

/* What was launched goes on without its deployer: the attempt's request says all about it.  One that was
 * configured as another type since is no better than none. */
static void stand_in(struct holding *holding)
{
	const struct job *job = holding->job;
	const char *request = job->attempt.request;
	enum conf_deployer_type type = request != NULL ? exec_request_type(request) : CONF_DEPLOYER_ECS;

	if (job->state != JOB_LAUNCHING && job->state != JOB_RUNNING && job->state != JOB_CANCELLING)
		return;
	if (holding->deployer != NULL && (request == NULL || holding->deployer->conf->type == type))
		return;
	log_warn(holding_log(holding), "its deployer \"%s\" is configured no more; the attempt is followed to its end",
		job->deployer);
	holding->deployer = type == CONF_DEPLOYER_PROCESS ? &holding->worker->removed_process : &holding->worker->removed;
}

static void go_on(struct holding *holding)
{
	const struct job *job = holding->job;

	stand_in(holding);
	switch (job->state) {
	case JOB_QUEUED:
		launch_begin(holding);
		break;
	case JOB_WAITING:
		holding_enter(holding, HOLDING_WAITING);
		break;
	case JOB_LAUNCHING:
		launch_resume(holding);
		break;
	case JOB_CANCELLING:
		cancel_resume(holding);
		break;
	case JOB_RUNNING:
		holding_enter(holding, HOLDING_RUNNING);
		holding_count_running(holding, true);
		watch_begin(holding);
		break;
	default:
		settle_message(holding);
		break;
	}
}

static struct queue_message *resume_message(const struct intake *intake, const struct job_message_ref *ref)
{
	if (intake == NULL || intake->is_events || ref->settled || ref->receipt == NULL)
		return NULL;
	return queue_resume(intake->queue, ref);
}

/* Of its acceptance nobody has heard, as far as the record says.  One that was rejected for its lock when it came was never
 * accepted; the first intent may be of the same commit as the admission. */
static bool may_be_untold(const struct job *job)
{
	const struct job_attempt *attempt = &job->attempt;

	if (attempt->number == 0)
		return job->state != JOB_FAILED;
	return (job->state == JOB_LAUNCHING || job->state == JOB_CANCELLING) && attempt->number == 1 && attempt->step == 0;
}

static void take_up(struct worker *worker, struct job *job)
{
	struct holding *holding = holding_find(worker, job->id);
	struct queue_message *message;

	/* Retried before we let go of what had ended: that is over, and the job begins anew. */
	if (holding != NULL && holding->phase == HOLDING_NOTING && !job_state_final(job->state)) {
		holding_drop(holding);
		holding = NULL;
	}
	/* Given up in the store and back again before we noticed: what we hold goes on, under the newer fence. */
	if (holding != NULL)
		holding->job->fence = job->fence;
	/* Releasing: what the store gave us before our jobs were given up went with them. */
	if (holding != NULL || worker->state >= WORKER_RELEASING) {
		job_destroy(job);
		return;
	}
	message = resume_message(worker_find_intake(worker, job->queue), &job->message);
	holding = holding_create(worker, job, message);
	log_info(holding_log(holding), "adopted while %s", job_state_name(job->state));
	if (may_be_untold(job))
		tell_accepted(worker, job);
	if (job_state_final(job->state))
		tell_ended(worker, job);
	holding_take(holding);
	go_on(holding);
	holding_put(worker);
}

static void on_adopted(void *arg, struct job **jobs, size_t count, const struct error *err)
{
	struct worker *worker = arg;
	bool more = count == WORKER_ADOPT_BATCH || worker->adopt_again;

	worker->adopting = false;
	worker->adopt_again = false;
	if (err != NULL) {
		log_warn(&worker->log, "no jobs adopted: %s; trying again within %.0f s", err->text,
			adopt_tick_s(worker));
		drain_check(worker);
		return;
	}
	for (size_t i = 0; i < count; i++)
		take_up(worker, jobs[i]);
	/* There may be many more, and we may be the only one who was told. */
	if (count == WORKER_ADOPT_BATCH)
		channel_send(worker, REPORT_RELEASED, "", "");
	if (count > 0) {
		for (size_t i = 0; i < worker->conf->queue_count; i++)
			intake_update_room(&worker->intakes[i]);
	}
	if (worker->state > WORKER_ACTIVE)
		drain_check(worker);
	else if (more)
		adopt_start(worker);
	else
		rest_begin(worker);
}

void adopt_start(struct worker *worker)
{
	if (!may_adopt(worker))
		return;
	if (worker->adopting) {
		worker->adopt_again = true;
		return;
	}
	worker->adopting = true;
	store_adopt(worker->store, WORKER_ADOPT_BATCH, on_adopted, worker);
}

static void on_disowned(void *arg, size_t count, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL)
		log_error(&worker->log, "a dead worker's jobs were not freed: %s; its lease frees them", err->text);
	else if (count > 0)
		channel_send(worker, REPORT_RELEASED, "", "");
	adopt_start(worker);
	deliver_wake(worker->deliver);
}

void adopt_orphans(struct worker *worker, const char *owner, const char *how)
{
	char *text = xasprintf("worker %s %s", owner, how);
	char *key = xasprintf("worker_crashed/%s", owner);
	struct fault fault = { .kind = "worker_crashed", .text = text };

	faults_record(worker, &fault, key, NULL, NULL);
	store_disown(worker->store, owner, on_disowned, worker);
	free(key);
	free(text);
}

/* -- ours, and not held ----------------------------------------------------------------------- */

/* Its message is forgotten, and some queues will not show it again while we live: so it is asked for until the
 * store answers. */
struct unheard_of {
	struct list link;               /* worker.unheard_of */
	struct worker *worker;
	char *id;
	ev_timer again;
	unsigned failures;
};

static void unheard_of_end(struct unheard_of *unheard)
{
	list_remove(&unheard->link);
	ev_timer_stop(unheard->worker->loop, &unheard->again);
	free(unheard->id);
	free(unheard);
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct unheard_of *unheard = arg;
	struct worker *worker = unheard->worker;

	if (worker->leaving)
		return;
	if (err != NULL) {
		if (unheard->failures++ == 0)
			log_warn(&worker->log, "job %s is ours and not held, and cannot be read: %s; trying again", unheard->id,
				err->text);
		ev_timer_set(&unheard->again, backoff_s(unheard->failures, FIND_AGAIN_S, FIND_AGAIN_MAX_S, random_unit()), 0.);
		ev_timer_start(worker->loop, &unheard->again);
		return;
	}
	unheard_of_end(unheard);
	if (job != NULL && job->owner != NULL && strcmp(job->owner, worker->heritage.owner) == 0 &&
		holding_find(worker, job->id) == NULL)
		take_up(worker, job_copy(job));
	drain_check(worker);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct unheard_of *unheard = container_of(timer, struct unheard_of, again);

	(void)loop, (void)revents;
	store_find(unheard->worker->store, unheard->id, on_found, unheard);
}

void adopt_unheard_of(struct worker *worker, const char *id)
{
	struct unheard_of *unheard = xnew(struct unheard_of);

	list_append(&worker->unheard_of, &unheard->link);
	unheard->worker = worker;
	unheard->id = xstrdup(id);
	ev_init(&unheard->again, on_again);
	store_find(worker->store, id, on_found, unheard);
}

void adopt_finish(struct worker *worker)
{
	while (!list_empty(&worker->unheard_of))
		unheard_of_end(list_first(&worker->unheard_of, struct unheard_of, link));
}

/* -- news about our own ------------------------------------------------------------------------- */

static void take_receipt(struct holding *holding, const struct job_message_ref *news)
{
	struct job_message_ref *ref = &holding->job->message;

	if (news->receipt == NULL || news->settled || holding->phase >= HOLDING_NOTING)
		return;
	if (holding->message != NULL && strcmp(holding->message->receipt, news->receipt) == 0)
		return;
	xreplace(&ref->receipt, news->receipt);
	ref->hidden_until_ms = news->hidden_until_ms;
	ref->received_ms = news->received_ms;
	if (holding->message != NULL) {
		queue_update(holding->message, news->receipt, news->hidden_until_ms);
	} else if (holding->phase < HOLDING_SETTLING && !holding->deleting) {
		holding->message = resume_message(holding->intake, ref);
		if (holding->message != NULL)
			holding->message->arg = holding;
	}
}

static void take_granted(struct holding *holding, const struct job *news)
{
	struct job *job = holding->job;

	job->state = news->state;
	job->grant = news->grant;
	job->fence = news->fence;
	if (job_state_final(news->state)) {
		log_info(holding_log(holding), "%s", news->detail != NULL ? news->detail : job_state_name(news->state));
		counters_ended(holding, news->state);
		tell_ended(holding->worker, news);
	}
	go_on(holding);
}

/* News of a running job say that its task was heard of, or just a receipt: looking once more is cheap. */
static void take_news(struct worker *worker, struct job *news)
{
	struct holding *holding = holding_find(worker, news->id);

	if (holding == NULL) {
		take_up(worker, news);
		return;
	}
	holding_take(holding);
	take_receipt(holding, &news->message);
	if (news->state == JOB_CANCELLED || news->state == JOB_CANCELLING)
		cancel_take_news(holding, news);
	else if (holding->phase == HOLDING_WAITING && news->state != JOB_WAITING)
		take_granted(holding, news);
	else if (holding->phase == HOLDING_RUNNING)
		exec_hear(holding->deployer->exec, holding->job->attempt.handle, NULL);
	holding_put(worker);
	job_destroy(news);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	adopt_sweep(container_of(timer, struct worker, due));
}

static void arm_due(struct worker *worker, int64_t next_due_ms)
{
	double left_s = (double)(next_due_ms - clock_steady_ms()) / 1000;

	ev_timer_stop(worker->loop, &worker->due);
	if (next_due_ms == 0 || left_s > adopt_tick_s(worker))
		return;
	ev_timer_set(&worker->due, left_s > 0.001 ? left_s : 0.001, 0.);
	ev_timer_start(worker->loop, &worker->due);
}

static void on_swept(void *arg, struct job **jobs, size_t count, int64_t next_due_ms, const struct error *err)
{
	struct worker *worker = arg;
	bool again = worker->sweep_again;

	worker->sweeping = false;
	worker->sweep_again = false;
	if (err != NULL) {
		log_warn(&worker->log, "no news from the store: %s; asking again within %.0f s", err->text,
			adopt_tick_s(worker));
		return;
	}
	for (size_t i = 0; i < count; i++)
		take_news(worker, jobs[i]);
	arm_due(worker, next_due_ms);
	if (again)
		adopt_sweep(worker);
}

void adopt_sweep(struct worker *worker)
{
	if (worker->state != WORKER_ACTIVE && worker->state != WORKER_DRAINING)
		return;
	if (worker->sweeping) {
		worker->sweep_again = true;
		return;
	}
	worker->sweeping = true;
	store_sweep(worker->store, on_swept, worker);
}

/* -- the tick --------------------------------------------------------------------------------- */

static void on_renewed(void *arg, const struct error *err)
{
	struct worker *worker = arg;

	worker->renewal_s = 0;
	if (worker->unrenewed && err == NULL)
		channel_news(worker);
	worker->unrenewed = err != NULL && err->kind != ERROR_LOST;
	if (err == NULL)
		return;
	if (worker->unrenewed) {
		log_warn(&worker->log, "our lease was not renewed: %s", err->text);
		channel_note_trouble(worker, err);
		return;
	}
	log_error(&worker->log, "our lease had ended and our jobs belong to others now: %s; leaving", err->text);
	worker_leave(worker, EXIT_FAILURE);
}

/* One at a time: the store goes on trying by itself for a while, and that it has to is told. */
static void renew(struct worker *worker)
{
	double now_s = clock_monotonic_s();
	struct error err;

	if (worker->renewal_s > 0) {
		error_set(&err, ERROR_TEMPORARY, "store: our lease's renewal has not been taken for %.0f s", now_s - worker->renewal_s);
		worker->unrenewed = true;
		channel_note_trouble(worker, &err);
		return;
	}
	worker->renewal_s = now_s;
	store_renew(worker->store, on_renewed, worker);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct worker *worker = container_of(timer, struct worker, tick);

	(void)loop;
	(void)revents;
	/* Also before GO: we or the others may need longer to be ready than our lease lasts. */
	renew(worker);
	if (worker->state <= WORKER_PARKED)
		return;
	rest_tick(worker);
	adopt_sweep(worker);
	adopt_start(worker);
	events_check(worker);
	retention_tick(worker);
}

/* A third of the lease, so that one renewal may fail. */
double adopt_tick_s(const struct worker *worker)
{
	return (double)worker->conf->supervisor.lease_ms / 3000;
}

/* Stood still for longer than its lease (stopped, or its host asleep), a worker's jobs are others' by now,
 * and what it was about to ask for may have been looked for and not found.  So nothing that is pending is
 * carried out any more: not even this turn is finished. */
static void on_turn(struct ev_loop *loop, ev_check *check, int revents)
{
	struct worker *worker = container_of(check, struct worker, turn);
	int64_t now_ms = clock_boot_ms();
	int64_t gap_ms = now_ms - worker->turned_ms;

	(void)loop, (void)revents;
	worker->turned_ms = now_ms;
	if (gap_ms <= worker->conf->supervisor.lease_ms)
		return;
	log_error(&worker->log, "stood still for %.1f s, which is longer than its lease; leaving, as its jobs are others' now",
		(double)gap_ms / 1000);
	_exit(EXIT_FAILURE);
}

/* Somebody on another host, maybe: the master wakes only its own workers. */
static void on_news(void *arg, bool orphans)
{
	struct worker *worker = arg;

	if (worker->state <= WORKER_PARKED)
		return;
	adopt_sweep(worker);
	if (orphans)
		adopt_start(worker);
}

void adopt_start_ticking(struct worker *worker)
{
	store_on_news(worker->store, on_news, worker);
	worker->turned_ms = clock_boot_ms();
	ev_check_init(&worker->turn, on_turn);
	ev_set_priority(&worker->turn, EV_MAXPRI);
	ev_check_start(worker->loop, &worker->turn);
	ev_timer_init(&worker->tick, on_tick, adopt_tick_s(worker), adopt_tick_s(worker));
	ev_init(&worker->due, on_due);
	ev_timer_start(worker->loop, &worker->tick);
}

void adopt_stop_ticking(struct worker *worker)
{
	ev_check_stop(worker->loop, &worker->turn);
	ev_timer_stop(worker->loop, &worker->tick);
	ev_timer_stop(worker->loop, &worker->due);
}
