/* SPDX-License-Identifier: Apache-2.0 */
/* retention.c - see retention.h.
 *
 * Old directories go as a pass finds them; when there is a limit on what all take together, the pass also
 * notes the others, and at its end the oldest go until the rest fits.  What a directory was written last is
 * the wall clock's word, so of a job that is known its end counts too: a clock that is set forward must not
 * take all logs at once. */
#include "worker/retention.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/process_dir.h"

static const double pass_max_s = 600;           /* between two passes over the state directory */
static const int64_t log_retention_ms = (int64_t)14 * 24 * 3600 * 1000;         /* without a section api */

/* What a command left that is not old. */
struct left {
	char *job, *directory;
	int64_t written_ms, bytes;
};

struct retention {
	struct worker *worker;
	bool pruning;                   /* a store_prune() is under way */
	struct process_sweep *sweep;    /* NULL between passes */
	bool swept;                     /* the pass has found all */
	size_t asking;                  /* directories whose jobs are being looked up */
	size_t removed;                 /* in this pass */
	double next_pass_s;             /* monotonic */

	int64_t old_ms;                 /* wall clock, of this pass: what was written last before it is old */
	struct left *left;              /* when there is a limit on them all */
	size_t left_count, left_next;   /* left_next: the oldest that may go */
	int64_t bytes;                  /* of those that are left */
};

static int64_t keep_ms(const struct retention *retention)
{
	const struct conf *conf = retention->worker->conf;

	return conf->api != NULL ? conf->api->log_retention_ms : log_retention_ms;
}

/* 0: no limit */
static int64_t limit_bytes(const struct retention *retention)
{
	const struct conf *conf = retention->worker->conf;

	return conf->api != NULL ? conf->api->log_size_bytes : 0;
}

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

/* A directory that shall go. */
struct going {
	struct retention *retention;
	char *directory;
	int64_t bytes;
	bool old;
};

/* A job that has not ended, or of which nothing can be learned now, may need its directory to know how its
 * command ended. */
static bool is_wanted(const struct going *going, const struct job *job, const struct error *err)
{
	if (job == NULL)
		return err != NULL;
	return !job_state_final(job->state) ||
	       (going->old && clock_steady_ms() - job->finished_ms < keep_ms(going->retention));
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct going *going = arg;
	struct retention *retention = going->retention;

	if (!is_wanted(going, job, err) && process_dir_remove(going->directory)) {
		retention->removed++;
		retention->bytes -= going->bytes;
	}
	retention->asking--;
	free(going->directory);
	free(going);
}

static void let_go(struct retention *retention, const char *job, const char *directory, int64_t bytes, bool old)
{
	struct going *going;

	if (job[0] == '\0') {
		if (process_dir_remove(directory)) {
			retention->removed++;
			retention->bytes -= bytes;
		}
		return;
	}
	going = xnew(struct going);
	*going = (struct going){ .retention = retention, .directory = xstrdup(directory), .bytes = bytes, .old = old };
	retention->asking++;
	store_find(retention->worker->store, job, on_found, going);
}

static void note_left(struct retention *retention, const char *job, const char *directory, int64_t written_ms)
{
	struct left *left;

	if (retention->left_count >= LIMIT_RETENTION_LEFT)
		return;
	retention->left = xreallocarray(retention->left, retention->left_count + 1, sizeof(*left));
	left = &retention->left[retention->left_count++];
	*left = (struct left){ .job = xstrdup(job), .directory = xstrdup(directory), .written_ms = written_ms,
		.bytes = process_dir_bytes(directory) };
	retention->bytes += left->bytes;
}

static void on_ended(void *arg, const char *job, const char *directory)
{
	struct retention *retention = arg;
	int64_t written_ms = process_dir_written_ms(directory);

	if (written_ms < retention->old_ms)
		let_go(retention, job, directory, 0, true);
	else
		note_left(retention, job, directory, written_ms);
}

/* A short retention is looked after more often. */
static double pause_s(const struct retention *retention)
{
	double tenth_s = (double)keep_ms(retention) / 1000 / 10;

	return tenth_s < pass_max_s ? tenth_s : pass_max_s;
}

static void begin_pass(struct retention *retention)
{
	const struct conf *conf = retention->worker->conf;
	struct error err;

	retention->next_pass_s = clock_monotonic_s() + pause_s(retention);
	retention->old_ms = clock_wall_ms() - keep_ms(retention);
	/* It is not there before the first local command. */
	retention->sweep = process_sweep_create(conf->supervisor.state_dir,
		limit_bytes(retention) > 0 ? INT64_MAX : retention->old_ms, on_ended, retention, &err);
}

static int by_age(const void *a, const void *b)
{
	const struct left *left = a, *right = b;

	return (left->written_ms > right->written_ms) - (left->written_ms < right->written_ms);
}

/* A few of the oldest, until the rest fits.  False: it does, or all were tried. */
static bool trim(struct retention *retention)
{
	int64_t expected = retention->bytes;

	for (size_t i = 0; i < LIMIT_RETENTION_DIRECTORIES && expected > limit_bytes(retention) &&
	     retention->left_next < retention->left_count; i++) {
		const struct left *left = &retention->left[retention->left_next++];

		expected -= left->bytes;
		let_go(retention, left->job, left->directory, left->bytes, false);
	}
	return retention->bytes > limit_bytes(retention) && retention->left_next < retention->left_count;
}

static void forget_left(struct retention *retention)
{
	for (size_t i = 0; i < retention->left_count; i++) {
		free(retention->left[i].job);
		free(retention->left[i].directory);
	}
	free(retention->left);
	retention->left = NULL;
	retention->left_count = retention->left_next = 0;
	retention->bytes = 0;
}

static void end_pass(struct retention *retention)
{
	process_sweep_destroy(retention->sweep);
	retention->sweep = NULL;
	retention->swept = false;
	forget_left(retention);
	if (retention->removed > 0)
		log_info(&retention->worker->log, "removed the logs and results of %zu local commands", retention->removed);
	retention->removed = 0;
}

/* One step of a pass; the next one waits until the jobs of this one have been looked up. */
static void sweep(struct retention *retention)
{
	if (retention->worker->conf->supervisor.state_dir == NULL || retention->asking > 0)
		return;
	if (retention->sweep == NULL && clock_monotonic_s() >= retention->next_pass_s)
		begin_pass(retention);
	if (retention->sweep == NULL)
		return;
	if (!retention->swept) {
		retention->swept = !process_sweep_step(retention->sweep, LIMIT_RETENTION_DIRECTORIES);
		if (retention->swept && retention->left_count > 0)
			qsort(retention->left, retention->left_count, sizeof(*retention->left), by_age);
	}
	if (!retention->swept || retention->asking > 0)
		return;
	if (limit_bytes(retention) == 0 || (!trim(retention) && retention->asking == 0))
		end_pass(retention);
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
	forget_left(retention);
	free(retention);
}
