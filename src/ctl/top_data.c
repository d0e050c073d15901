/* SPDX-License-Identifier: Apache-2.0 */
/* top_data.c - see top_data.h. */
#include "ctl/top_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "ipc/status_record.h"

static const double period_s = 1;
static const double answer_s = 10;

/* What is asked for, one after the other; the last is any state. */
static const int rounds[] = { JOB_RUNNING, JOB_LAUNCHING, JOB_CANCELLING, JOB_QUEUED, JOB_WAITING, -1 };
enum { ROUNDS = sizeof(rounds) / sizeof(*rounds) };

static void restart(struct top_data *data, ev_timer *timer, double after_s)
{
	ev_timer_stop(data->loop, timer);
	ev_timer_set(timer, after_s, 0.);
	ev_timer_start(data->loop, timer);
}

/* -- the daemon ------------------------------------------------------------------------------- */

static void on_status_line(void *arg, const struct control_line *line)
{
	struct top_data *data = arg;

	status_record_add(data->next_status, line);
}

static void on_status(void *arg, enum control_status status, const struct error *why)
{
	struct top_data *data = arg;

	data->call = NULL;
	json_decref(data->status);
	data->status = status == CONTROL_DONE ? json_incref(data->next_status) : NULL;
	json_decref(data->next_status);
	data->next_status = NULL;
	xreplace(&data->daemon_trouble, why != NULL ? why->text : NULL);
	restart(data, &data->status_timer, period_s);
	data->changed(data->arg);
}

static void on_status_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct top_data *data = container_of(timer, struct top_data, status_timer);

	(void)revents;
	data->next_status = status_record_create();
	data->call = control_call_start(loop, data->socket_path, "status", answer_s, on_status_line, on_status, data);
}

/* -- the store -------------------------------------------------------------------------------- */

static void free_jobs(struct job ***jobs, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		job_destroy((*jobs)[i]);
	free(*jobs);
	*jobs = NULL;
	*count = 0;
}

static void end_round(struct top_data *data, const struct error *err)
{
	data->asking = false;
	xreplace(&data->store_trouble, err != NULL ? err->text : NULL);
	if (err == NULL) {
		free_jobs(&data->jobs, &data->job_count);
		data->jobs = data->next_jobs;
		data->job_count = data->next_count;
		data->next_jobs = NULL;
		data->next_count = 0;
	}
	free_jobs(&data->next_jobs, &data->next_count);
	restart(data, &data->store_timer, period_s);
	data->changed(data->arg);
}

static void ask_list(struct top_data *data);

/* A job may have moved on between two lists; the later one is right. */
static void add_job(struct top_data *data, const struct job *job)
{
	for (size_t i = 0; i < data->next_count; i++) {
		if (data->next_jobs[i]->seq == job->seq && strcmp(data->next_jobs[i]->id, job->id) == 0) {
			job_destroy(data->next_jobs[i]);
			data->next_jobs[i] = job_copy(job);
			return;
		}
	}
	data->next_jobs = xreallocarray(data->next_jobs, data->next_count + 1, sizeof(*data->next_jobs));
	data->next_jobs[data->next_count++] = job_copy(job);
}

static void on_list(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct top_data *data = arg;

	for (size_t i = 0; i < count; i++)
		add_job(data, jobs[i]);
	if (err != NULL || ++data->round == ROUNDS)
		end_round(data, err);
	else
		ask_list(data);
}

static void ask_list(struct top_data *data)
{
	const struct store_filter filter = {
		.state = rounds[data->round], .max = rounds[data->round] < 0 ? TOP_ENDED_MAX : TOP_LIVE_MAX,
	};

	store_list(data->store, &filter, on_list, data);
}

static void on_count(void *arg, const uint64_t *counts, const struct error *err)
{
	struct top_data *data = arg;

	if (err != NULL) {
		end_round(data, err);
		return;
	}
	memcpy(data->counts, counts, sizeof(data->counts));
	data->round = 0;
	ask_list(data);
}

static void on_store_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct top_data *data = container_of(timer, struct top_data, store_timer);

	(void)loop, (void)revents;
	data->asking = true;
	store_count(data->store, on_count, data);
}

/* -- its life --------------------------------------------------------------------------------- */

void top_data_init(struct top_data *data, struct asking *asking, void (*changed)(void *arg), void *arg)
{
	*data = (struct top_data){ .loop = asking->loop, .store = asking->store, .changed = changed, .arg = arg };
	data->socket_path = ctl_socket_path(asking->ctl);
	ev_timer_init(&data->status_timer, on_status_time, 0., 0.);
	ev_timer_init(&data->store_timer, on_store_time, 0., 0.);
	ev_timer_start(data->loop, &data->status_timer);
	ev_timer_start(data->loop, &data->store_timer);
}

void top_data_hurry(struct top_data *data)
{
	if (!data->asking)
		restart(data, &data->store_timer, 0.);
}

static void ignore_change(void *arg)
{
	(void)arg;
}

void top_data_stop(struct top_data *data)
{
	data->changed = ignore_change;
	control_call_cancel(data->call);
	data->call = NULL;
	ev_timer_stop(data->loop, &data->status_timer);
}

void top_data_finish(struct top_data *data)
{
	ev_timer_stop(data->loop, &data->store_timer);
	json_decref(data->status);
	json_decref(data->next_status);
	free_jobs(&data->jobs, &data->job_count);
	free_jobs(&data->next_jobs, &data->next_count);
	free(data->socket_path);
	free(data->daemon_trouble);
	free(data->store_trouble);
}
