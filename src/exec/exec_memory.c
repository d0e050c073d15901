/* SPDX-License-Identifier: Apache-2.0 */
/* exec_memory.c - see exec_memory.h.  One timer of zero length tells what must not be told inside a
 * call. */
#include "exec/exec_memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/list.h"
#include "base/mem.h"
#include "exec/exec_impl.h"

struct memory_task {
	struct list link;               /* exec_memory.tasks, in order of launch */
	struct exec_memory_task face;
	char *handle, *request, *token;
	bool forgotten;
	struct exec_end end;
};

struct memory_watch {
	struct exec_watch face;
	struct list link;               /* exec_memory.watches */
	struct memory_task *task;       /* NULL: nobody knows that handle */
	bool told_started;
	struct exec_watch_events events;
};

struct memory_answer {                  /* of a launch or a look */
	struct exec_launch face;
	struct list link;               /* exec_memory.answers */
	char *handle;
	struct error error;
	exec_launched_fn *done;
	void *arg;
};

struct exec_memory {
	struct exec face;
	ev_timer turn;
	struct list tasks, watches, answers;
	bool *gone;                     /* set to true by destroy while the turn runs */
	unsigned next, failures;
	bool failures_start;
	struct error failure;
	char *refusal;
};

static struct exec_memory *memory_of(const struct exec *exec)
{
	return container_of(exec, struct exec_memory, face);
}

static void wake(struct exec_memory *exec)
{
	if (!ev_is_active(&exec->turn)) {
		ev_timer_set(&exec->turn, 0., 0.);
		ev_timer_start(exec->face.env.loop, &exec->turn);
	}
}

static struct memory_task *find(const struct exec_memory *exec, const char *handle)
{
	struct memory_task *task;

	list_each(task, &exec->tasks, link) {
		if (strcmp(task->handle, handle) == 0)
			return task;
	}
	return NULL;
}

static struct memory_task *find_token(const struct exec_memory *exec, const char *token)
{
	struct memory_task *task;

	list_each(task, &exec->tasks, link) {
		if (!task->forgotten && strcmp(task->token, token) == 0)
			return task;
	}
	return NULL;
}

static struct memory_task *task_start(struct exec_memory *exec, const char *request, const char *token)
{
	struct memory_task *task = xnew(struct memory_task);

	task->handle = xasprintf("task-%u", ++exec->next);
	task->request = xstrdup(request);
	task->token = xstrdup(token);
	task->face = (struct exec_memory_task){
		.handle = task->handle, .request = task->request, .token = task->token,
	};
	list_append(&exec->tasks, &task->link);
	return task;
}

static struct memory_answer *answer_later(struct exec_memory *exec, exec_launched_fn *done, void *arg)
{
	struct memory_answer *answer = xnew(struct memory_answer);

	answer->face.exec = &exec->face;
	answer->done = done;
	answer->arg = arg;
	list_append(&exec->answers, &answer->link);
	wake(exec);
	return answer;
}

static void answer_free(struct memory_answer *answer)
{
	list_remove(&answer->link);
	free(answer->handle);
	free(answer);
}

/* -- what happens in the turn ----------------------------------------------------------------------- */

static bool tell_answer(struct exec_memory *exec)
{
	struct memory_answer *answer = list_first(&exec->answers, struct memory_answer, link);

	if (answer == NULL)
		return false;
	list_remove(&answer->link);
	answer->done(answer->arg, answer->handle, answer->error.kind != ERROR_NONE ? &answer->error : NULL);
	answer_free(answer);
	return true;
}

static void watch_free(struct memory_watch *watch)
{
	list_remove(&watch->link);
	free(watch);
}

static void tell_end(struct memory_watch *watch)
{
	struct exec_watch_events events = watch->events;
	struct exec_end end = { .result = { .state = JOB_FAILED, .exit_code = JOB_NO_EXIT_CODE } };

	if (watch->task != NULL)
		end = watch->task->end;
	else
		job_result_set(&end.result, JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, "nobody knows this task");
	watch_free(watch);
	events.ended(events.arg, &end);
}

static bool tell_watch(struct exec_memory *exec)
{
	struct memory_watch *watch;

	list_each(watch, &exec->watches, link) {
		if (!watch->told_started) {
			watch->told_started = true;
			if (watch->events.started != NULL)
				watch->events.started(watch->events.arg, clock_wall_ms());
			return true;
		}
		if (watch->task == NULL || watch->task->face.ended) {
			tell_end(watch);
			return true;
		}
	}
	return false;
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct exec_memory *exec = container_of(timer, struct exec_memory, turn);
	bool gone = false;

	(void)loop;
	(void)revents;
	exec->gone = &gone;
	while (!gone && (tell_answer(exec) || tell_watch(exec)))
		;
	if (!gone)
		exec->gone = NULL;
}

/* -- the table -------------------------------------------------------------------------------------- */

static unsigned memory_steps(const struct exec *exec)
{
	return exec->conf->capacity_providers.count > 0 ? (unsigned)exec->conf->capacity_providers.count : 1;
}

static char *memory_prepare(struct exec *face, const struct job *job, struct error *err)
{
	struct exec_memory *exec = memory_of(face);
	json_t *doc;
	char *text;

	if (exec->refusal != NULL) {
		error_set(err, ERROR_INVALID, "%s", exec->refusal);
		return NULL;
	}
	doc = json_pack("{s:s, s:s, s:i, s:i, s:I}", "deployer", face->conf->name, "job", job->id,
		"attempt", (int)job->attempt.number, "step", (int)job->attempt.step, "fence", (json_int_t)job->grant);
	text = json_at_dump(doc);
	json_decref(doc);
	return text;
}

static struct exec_launch *memory_launch(struct exec *face, const char *request, const char *token,
	exec_launched_fn *done, void *arg)
{
	struct exec_memory *exec = memory_of(face);
	struct memory_task *task = find_token(exec, token);
	struct memory_answer *answer = answer_later(exec, done, arg);
	bool fails = exec->failures > 0;

	if (fails)
		exec->failures--;
	if (task == NULL && (!fails || exec->failures_start))
		task = task_start(exec, request, token);
	if (task != NULL)
		task->face.asked++;
	if (fails)
		answer->error = exec->failure;
	else
		answer->handle = xstrdup(task->handle);
	return &answer->face;
}

static void memory_launch_cancel(struct exec_launch *launch)
{
	answer_free(container_of(launch, struct memory_answer, face));
}

static struct exec_watch *memory_watch(struct exec *face, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events)
{
	struct exec_memory *exec = memory_of(face);
	struct memory_watch *watch = xnew(struct memory_watch);

	(void)request;
	(void)since_ms;
	watch->face.exec = face;
	watch->task = find(exec, handle);
	watch->events = *events;
	list_append(&exec->watches, &watch->link);
	wake(exec);
	return &watch->face;
}

static void memory_unwatch(struct exec_watch *watch)
{
	watch_free(container_of(watch, struct memory_watch, face));
}

static void memory_stop(struct exec_watch *face, const char *reason)
{
	struct memory_watch *watch = container_of(face, struct memory_watch, face);
	struct exec_end end = { .retry = EXEC_RETRY_NO };

	if (watch->task == NULL || watch->task->face.ended)
		return;
	watch->task->face.stop_asked = true;
	job_result_set(&end.result, JOB_CANCELLED, "stopped", JOB_NO_EXIT_CODE, "%s", reason);
	exec_memory_end(face->exec, watch->task->handle, &end);
}

/* The end of a task is known here anyway: that it was heard of is only counted. */
static bool memory_hear(struct exec *face, const char *handle, const json_t *doc)
{
	struct memory_watch *watch;

	(void)doc;
	list_each(watch, &memory_of(face)->watches, link) {
		if (watch->task != NULL && strcmp(watch->task->handle, handle) == 0) {
			watch->task->face.heard++;
			return true;
		}
	}
	return false;
}

static void memory_look(struct exec *face, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg)
{
	struct exec_memory *exec = memory_of(face);
	struct memory_task *task = find_token(exec, token);
	struct memory_answer *answer = answer_later(exec, done, arg);

	(void)request;
	(void)intended_ms;
	if (task != NULL)
		answer->handle = xstrdup(task->handle);
}

static int64_t memory_token_life_ms(const struct exec *exec)
{
	(void)exec;
	return 3600000;
}

static void task_free(struct memory_task *task)
{
	list_remove(&task->link);
	free(task->handle);
	free(task->request);
	free(task->token);
	free(task);
}

static void memory_destroy(struct exec *face)
{
	struct exec_memory *exec = memory_of(face);

	if (exec->gone != NULL)
		*exec->gone = true;
	ev_timer_stop(face->env.loop, &exec->turn);
	while (!list_empty(&exec->answers))
		answer_free(list_first(&exec->answers, struct memory_answer, link));
	while (!list_empty(&exec->watches))
		watch_free(list_first(&exec->watches, struct memory_watch, link));
	while (!list_empty(&exec->tasks))
		task_free(list_first(&exec->tasks, struct memory_task, link));
	free(exec->refusal);
	free(exec);
}

static const struct exec_impl memory_impl = {
	.destroy = memory_destroy,
	.steps = memory_steps,
	.prepare = memory_prepare,
	.launch = memory_launch,
	.launch_cancel = memory_launch_cancel,
	.watch = memory_watch,
	.unwatch = memory_unwatch,
	.stop = memory_stop,
	.hear = memory_hear,
	.look = memory_look,
	.token_life_ms = memory_token_life_ms,
};

struct exec *exec_memory_create(const struct conf_deployer *conf, const struct exec_env *env)
{
	struct exec_memory *exec = xnew(struct exec_memory);

	exec_init(&exec->face, &memory_impl, conf, env);
	list_init(&exec->tasks);
	list_init(&exec->watches);
	list_init(&exec->answers);
	ev_timer_init(&exec->turn, on_turn, 0., 0.);
	return &exec->face;
}

/* -- the hands of a test ---------------------------------------------------------------------------- */

size_t exec_memory_count(const struct exec *face)
{
	struct memory_task *task;
	size_t count = 0;

	list_each(task, &memory_of(face)->tasks, link)
		count++;
	return count;
}

const struct exec_memory_task *exec_memory_task(const struct exec *face, size_t n)
{
	struct memory_task *task;

	list_each(task, &memory_of(face)->tasks, link) {
		if (n-- == 0)
			return &task->face;
	}
	return NULL;
}

void exec_memory_end(struct exec *face, const char *handle, const struct exec_end *end)
{
	struct memory_task *task = find(memory_of(face), handle);

	if (task == NULL || task->face.ended)
		return;
	task->face.ended = true;
	task->end = *end;
	wake(memory_of(face));
}

void exec_memory_exit(struct exec *face, const char *handle, int exit_code)
{
	struct exec_end end = { .retry = EXEC_RETRY_NO, .stopped_ms = clock_wall_ms() };

	if (exit_code == 0)
		job_result_set(&end.result, JOB_SUCCEEDED, "", 0, "%s", "");
	else
		job_result_set(&end.result, JOB_FAILED, "exit_code", exit_code, "exit code %d", exit_code);
	exec_memory_end(face, handle, &end);
}

void exec_memory_fail_launches(struct exec *face, unsigned count, enum error_kind kind, const char *code, bool started)
{
	struct exec_memory *exec = memory_of(face);

	exec->failures = count;
	exec->failures_start = started;
	error_set(&exec->failure, kind, "the launch fails as it was told to");
	error_set_code(&exec->failure, code);
}

void exec_memory_refuse(struct exec *face, const char *text)
{
	xreplace(&memory_of(face)->refusal, text);
}

void exec_memory_forget_tokens(struct exec *face)
{
	struct memory_task *task;

	list_each(task, &memory_of(face)->tasks, link)
		task->forgotten = true;
}
