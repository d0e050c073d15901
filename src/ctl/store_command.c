/* SPDX-License-Identifier: Apache-2.0 */
/* store_command.c - gantryctl store copy: what has ended in one store, into another.
 *
 * The oldest first, some at a time.  A job that is there already is left as it is, so a copy that was broken off is
 * made again and goes on.  Nobody should be at work in either store meanwhile, which is told by jobs that have not
 * ended; --force goes on all the same and leaves these out. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "job/job_state.h"
#include "store/store.h"

enum { COPY_PAGE = 500, COPY_AT_ONCE = 32 };

struct copy {
	struct ctl *ctl;
	struct ev_loop *loop;
	struct log log;
	struct store *from, *to;
	bool force;
	char **ids;                     /* newest first; those from next on are done or under way */
	size_t id_count, next;
	size_t under_way;
	size_t copied, there, left;
	struct error err;               /* the first that went wrong */
};

/* One job on its way. */
struct step {
	struct copy *copy;
	struct job *job;
};

static void begin_next(struct copy *copy);

static void stop(struct copy *copy, const struct error *err)
{
	if (err != NULL && copy->err.kind == ERROR_NONE)
		copy->err = *err;
	if (copy->under_way == 0)
		ev_break(copy->loop, EVBREAK_ALL);
}

/* -- one job ------------------------------------------------------------------------------------- */

static void end_step(struct step *step, const struct error *err)
{
	struct copy *copy = step->copy;

	copy->under_way--;
	job_destroy(step->job);
	free(step);
	if (err != NULL || copy->err.kind != ERROR_NONE)
		stop(copy, err);
	else
		begin_next(copy);
}

static void on_imported(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct step *step = arg;

	if (err == NULL && answer->verdict == STORE_ASKED_DONE)
		step->copy->copied++;
	else if (err == NULL)
		step->copy->there++;
	end_step(step, err);
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct step *step = arg;

	if (err != NULL)
		end_step(step, err);
	else
		store_import(step->copy->to, step->job, attempts, count, on_imported, step);
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct step *step = arg;

	/* Forgotten meanwhile. */
	if (job == NULL) {
		end_step(step, err);
		return;
	}
	step->job = job_copy(job);
	store_attempts(step->copy->from, job->id, on_attempts, step);
}

static void begin_next(struct copy *copy)
{
	struct step *step;

	if (copy->next == 0) {
		stop(copy, NULL);
		return;
	}
	step = xnew(struct step);
	step->copy = copy;
	copy->under_way++;
	store_find(copy->from, copy->ids[--copy->next], on_found, step);
}

/* -- which jobs ---------------------------------------------------------------------------------- */

static void ask_page(struct copy *copy, int64_t before_seq);

static void on_page(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct copy *copy = arg;

	if (err != NULL) {
		stop(copy, err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (!job_state_final(jobs[i]->state) || !jobs[i]->message.settled) {
			copy->left++;
			continue;
		}
		copy->ids = xreallocarray(copy->ids, copy->id_count + 1, sizeof(*copy->ids));
		copy->ids[copy->id_count++] = xstrdup(jobs[i]->id);
	}
	if (count == COPY_PAGE) {
		ask_page(copy, jobs[count - 1]->seq);
		return;
	}
	copy->next = copy->id_count;
	if (copy->left > 0 && !copy->force) {
		struct error why;

		error_set(&why, ERROR_REFUSED, "%zu jobs of the store that is copied have not ended or are not settled; let them, or "
			"leave them out with --force", copy->left);
		stop(copy, &why);
		return;
	}
	for (size_t i = 0; i < COPY_AT_ONCE && (i == 0 || copy->next > 0); i++)
		begin_next(copy);
}

static void ask_page(struct copy *copy, int64_t before_seq)
{
	const struct store_filter filter = { .state = -1, .before_seq = before_seq, .max = COPY_PAGE };

	store_list(copy->from, &filter, on_page, copy);
}

static void on_counted(void *arg, const uint64_t *counts, const struct error *err)
{
	struct copy *copy = arg;
	uint64_t open = 0;
	struct error why;

	for (int i = 0; err == NULL && i < JOB_STATES; i++)
		open += job_state_final((enum job_state)i) ? 0 : counts[i];
	if (err == NULL && open > 0 && !copy->force) {
		error_set(&why, ERROR_REFUSED, "the store that is copied to is at work: %llu jobs in it have not ended; --force copies "
			"into it all the same", (unsigned long long)open);
		err = &why;
	}
	if (err != NULL)
		stop(copy, err);
	else
		ask_page(copy, 0);
}

/* -- the command --------------------------------------------------------------------------------- */

static bool open_both(struct copy *copy, const char *from, const char *to)
{
	char by[64];
	struct store_options options = { .loop = copy->loop, .log = &copy->log, .read_only = true };

	if (strncmp(from, "memory:", 7) == 0 || strncmp(to, "memory:", 7) == 0) {
		error_set(&copy->err, ERROR_INVALID, "a store \"memory:\" is seen by its worker only");
		return false;
	}
	copy->from = store_open(from, &options, &copy->err);
	if (copy->from == NULL)
		return false;
	snprintf(by, sizeof(by), "gantryctl of uid %u", (unsigned)geteuid());
	options.owner = by;
	options.read_only = false;
	options.migrate = true;
	copy->to = store_open(to, &options, &copy->err);
	return copy->to != NULL;
}

static void tell(const struct copy *copy)
{
	json_t *doc;

	if (copy->err.kind != ERROR_NONE)
		fprintf(stderr, "gantryctl: %s\n", copy->err.text);
	if (!copy->ctl->json) {
		printf("%zu copied, %zu were there already, %zu left out\n", copy->copied, copy->there, copy->left);
		return;
	}
	doc = json_pack("{s:I, s:I, s:I}", "copied", (json_int_t)copy->copied, "there", (json_int_t)copy->there, "left",
		(json_int_t)copy->left);
	ctl_print_json(doc);
	json_decref(doc);
}

static int run_copy(struct ctl *ctl, const char *from, const char *to, bool force)
{
	struct copy copy = { .ctl = ctl, .force = force, .loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV) };

	log_set_level(LOG_LEVEL_WARN);
	log_init(&copy.log, NULL, "gantryctl");
	if (open_both(&copy, from, to)) {
		store_count(copy.to, on_counted, &copy);
		ev_run(copy.loop, 0);
	}
	tell(&copy);
	store_close(copy.from);
	store_close(copy.to);
	ev_loop_destroy(copy.loop);
	for (size_t i = 0; i < copy.id_count; i++)
		free(copy.ids[i]);
	free(copy.ids);
	return copy.err.kind == ERROR_NONE ? CONTROL_DONE : CONTROL_FAILED;
}

int run_store(struct ctl *ctl, int argc, char **argv)
{
	bool force = false;
	int letter;

	while ((letter = command_option(argc, argv)) != -1) {
		if (letter != 'F')
			return command_usage("store");
		force = true;
	}
	if (argc - optind != 3 || strcmp(argv[optind], "copy") != 0)
		return command_usage("store");
	return run_copy(ctl, argv[optind + 1], argv[optind + 2], force);
}
