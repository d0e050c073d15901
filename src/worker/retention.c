/* SPDX-License-Identifier: Apache-2.0 */
/* retention.c - see retention.h. */
#include "worker/retention.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/process_dir.h"

static const double pass_s = 600;               /* between two passes over the state directory */
static const int64_t log_retention_ms = (int64_t)14 * 24 * 3600 * 1000;         /* without a section api */

struct retention {
	struct worker *worker;
	bool pruning;                   /* a store_prune() is under way */
	struct process_sweep *sweep;    /* NULL between passes */
	double next_pass_s;             /* monotonic */
};

/* -- finished jobs ---------------------------------------------------------------------------- */

static void on_pruned(void *arg, size_t count, const struct error *err)
{
	struct retention *retention = arg;
	const struct log *log = &retention->worker->log;

	retention->pruning = false;
	if (err != NULL)
		log_warn(log, "finished jobs were not forgotten: %s; trying again in %.0f s", err->text,
			adopt_tick_s(retention->worker));
	else if (count > 0)
		log_debug(log, "forgot %zu finished jobs", count);
}

static void prune(struct retention *retention)
{
	struct worker *worker = retention->worker;
	int64_t older_than_ms = clock_steady_ms() - worker->conf->supervisor.history_ms;

	if (worker->conf->supervisor.history_ms == 0 || retention->pruning)
		return;
	retention->pruning = true;
	store_prune(worker->store, older_than_ms, LIMIT_RETENTION_JOBS, on_pruned, retention);
}

/* -- what local commands left ----------------------------------------------------------------- */

/* A job that has not ended, or of which nothing can be learned now, may need its directory to know how its
 * command ended. */
static bool keep(void *arg, const char *id)
{
	struct worker *worker = arg;
	struct error err = { 0 };
	struct job *job = store_find(worker->store, id, &err);
	bool wanted = job != NULL ? !job_state_final(job->state) : err.kind != ERROR_NONE;

	job_destroy(job);
	return wanted;
}

static void begin_pass(struct retention *retention)
{
	const struct conf *conf = retention->worker->conf;
	int64_t keep_ms = conf->api != NULL ? conf->api->log_retention_ms : log_retention_ms;
	struct error err;

	retention->next_pass_s = clock_monotonic_s() + pass_s;
	/* It is not there before the first local command. */
	retention->sweep = process_sweep_create(conf->supervisor.state_dir, clock_wall_ms() - keep_ms, keep,
		retention->worker, &err);
}

static void sweep(struct retention *retention)
{
	size_t removed;

	if (retention->worker->conf->supervisor.state_dir == NULL)
		return;
	if (retention->sweep == NULL && clock_monotonic_s() >= retention->next_pass_s)
		begin_pass(retention);
	if (retention->sweep == NULL || process_sweep_step(retention->sweep, LIMIT_RETENTION_DIRECTORIES))
		return;
	removed = process_sweep_destroy(retention->sweep);
	retention->sweep = NULL;
	if (removed > 0)
		log_info(&retention->worker->log, "removed the logs and results of %zu local commands", removed);
}

/* -- life ------------------------------------------------------------------------------------- */

void retention_tick(struct worker *worker)
{
	if (worker->heritage.slot != 0)
		return;
	if (worker->retention == NULL) {
		worker->retention = xnew(struct retention);
		worker->retention->worker = worker;
	}
	prune(worker->retention);
	sweep(worker->retention);
}

void retention_destroy(struct retention *retention)
{
	if (retention == NULL)
		return;
	process_sweep_destroy(retention->sweep);
	free(retention);
}
