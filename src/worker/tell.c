/* SPDX-License-Identifier: Apache-2.0 */
/* tell.c - see tell.h. */
#include "worker/tell.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/json_at.h"
#include "base/masks.h"
#include "base/mem.h"
#include "conf/job_masks.h"
#include "exec/process_dir.h"
#include "job/job_message.h"
#include "job/job_record.h"
#include "worker/deliver.h"

enum { LOG_TAIL_BYTES = 4096 };

/* -- to whom ------------------------------------------------------------------------------------ */

struct audience {
	const char **sinks;             /* lent by the configuration, or by payload */
	size_t count;
	json_t *payload;                /* of a job that names whom to tell */
};

static bool has(const struct texts *texts, const char *text)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (strcmp(texts->at[i], text) == 0)
			return true;
	}
	return false;
}

/* Nobody who waits for failures is to miss one that nobody is certain of. */
static bool wants(const struct conf_sink *sink, const char *event)
{
	return has(&sink->when, event) || (strcmp(event, "uncertain") == 0 && has(&sink->when, "failed"));
}

static bool is_end(const char *event)
{
	return strcmp(event, "accepted") != 0 && strcmp(event, "started") != 0 && strcmp(event, "retrying") != 0;
}

static bool ends_attempt(const char *event)
{
	return is_end(event) || strcmp(event, "retrying") == 0;
}

static void add(struct audience *audience, const char *sink)
{
	audience->sinks = xreallocarray(audience->sinks, audience->count + 1, sizeof(*audience->sinks));
	audience->sinks[audience->count++] = sink;
}

/* What a deployer does not allow was refused before the launch; such a job's end is not told there either. */
static void add_named(struct audience *audience, const struct conf *conf, const struct job *job)
{
	const struct conf_deployer *deployer = conf_find_deployer(conf, job->deployer);
	const json_t *named, *address;
	size_t i;

	if (deployer == NULL || !deployer->allow.notify || job->body == NULL || strstr(job->body, "\"notify\"") == NULL)
		return;
	audience->payload = job_message_payload(job);
	named = audience->payload != NULL ? job_message_member(audience->payload, "notify") : NULL;
	json_array_foreach(named, i, address) {
		if (i < LIMIT_MESSAGE_NOTIFY && json_is_string(address))
			add(audience, json_string_value(address));
	}
}

static void gather(struct audience *audience, const struct conf *conf, const struct job *job, const char *event)
{
	*audience = (struct audience){ 0 };
	for (size_t i = 0; i < conf->notify_count; i++) {
		if (wants(&conf->notify[i], event))
			add(audience, conf_sink_name(&conf->notify[i]));
	}
	if (is_end(event))
		add_named(audience, conf, job);
}

static void disperse(struct audience *audience)
{
	free(audience->sinks);
	json_decref(audience->payload);
}

/* -- what --------------------------------------------------------------------------------------- */

/* Masked, from the first whole line on; what is before `from` is there for the masks alone. */
static char *clean_lines(struct masks *masks, const char *bytes, size_t size, size_t from, bool whole)
{
	char *shown = xcalloc(size - from + 1, 1), *line = shown, *text;

	masks_copy(masks, bytes, size, from, size, shown);
	if (!whole && (line = memchr(shown, '\n', size - from)) != NULL)
		line++;
	if (line == NULL)
		line = shown;
	text = json_at_clean(line, (size_t)(shown + (size - from) - line));
	free(shown);
	return text;
}

static char *read_tail(const struct worker *worker, const struct job *job, int fd)
{
	struct masks *masks = job_masks(worker->conf, job, &worker->log);
	size_t room = LOG_TAIL_BYTES + masks_longest(masks), size;
	char *bytes = xcalloc(room, 1), *text = NULL;
	struct stat about;
	ssize_t got = -1;
	off_t begin = 0;

	if (fstat(fd, &about) == 0) {
		begin = about.st_size > (off_t)room ? about.st_size - (off_t)room : 0;
		got = pread(fd, bytes, room, begin);
	}
	size = got > 0 ? (size_t)got : 0;
	if (size > LOG_TAIL_BYTES)
		text = clean_lines(masks, bytes, size, size - LOG_TAIL_BYTES, false);
	else if (size > 0)
		text = clean_lines(masks, bytes, size, 0, begin == 0);
	masks_destroy(masks);
	free(bytes);
	return text;
}

/* The last lines of a local command's output; NULL when there are none here. */
static char *log_tail(const struct worker *worker, const struct job *job)
{
	char *directory = job->attempt.handle != NULL ? process_handle_directory(job->attempt.handle) : NULL;
	int fd = directory != NULL ? process_dir_open(directory, PROCESS_LOG) : -1;
	char *text = fd >= 0 ? read_tail(worker, job, fd) : NULL;

	free(directory);
	descriptor_close(&fd);
	return text;
}

static json_t *data_of(const struct worker *worker, const struct job *job, const char *event)
{
	const struct conf_api *api = worker->conf->api;
	json_t *data = json_object();
	char *text;

	json_object_set_new(data, "event", json_string(event));
	json_object_update_new(data, job_record_brief(job));
	/* Ours alone. */
	json_object_del(data, "owner");
	json_object_del(data, "message");
	json_object_del(json_object_get(data, "attempt"), "token");
	if (api != NULL && api->url != NULL) {
		size_t len = strlen(api->url);

		text = xasprintf("%.*s/v1/jobs/%s", (int)(len > 0 && api->url[len - 1] == '/' ? len - 1 : len), api->url, job->id);
		json_object_set_new(data, "url", json_at_text(text));
		free(text);
	}
	if (ends_attempt(event) && (text = log_tail(worker, job)) != NULL) {
		json_object_set_new(data, "log_tail", json_at_text(text));
		free(text);
	}
	return data;
}

static char *compose(const struct worker *worker, const struct job *job, const char *event)
{
	char stamp[CLOCK_STAMP_BYTES], host[256] = "";
	char *type = xasprintf("job.%s", event);
	json_t *doc = json_object();
	char *text;

	clock_stamp(clock_wall_ms(), stamp);
	gethostname(host, sizeof(host) - 1);
	json_object_set_new(doc, "type", json_string(type));
	json_object_set_new(doc, "timestamp", json_string(stamp));
	json_object_set_new(doc, "host", json_at_text(host));
	json_object_set_new(doc, "data", data_of(worker, job, event));
	text = json_at_dump(doc);
	json_decref(doc);
	free(type);
	return text;
}

/* -- telling ------------------------------------------------------------------------------------ */

/* A job that is accepted anew by hand has a new place in the order: all of it is told anew. */
static char *dedup_key(const struct job *job, const char *event)
{
	return xasprintf("job/%s/%lld/%u/%s", job->id, (long long)job->seq, job->attempt.number, event);
}

/* By its owner, of what it is or will be. */
static void tell_of(struct worker *worker, const struct job *by, const struct job *job, const char *event, bool with_move)
{
	struct store_delivery *deliveries;
	struct audience audience;
	char *payload, *key;

	gather(&audience, worker->conf, job, event);
	if (audience.count > 0) {
		payload = compose(worker, job, event);
		key = dedup_key(job, event);
		deliveries = xcalloc(audience.count, sizeof(*deliveries));
		for (size_t i = 0; i < audience.count; i++)
			deliveries[i] = (struct store_delivery){
				.sink = audience.sinks[i], .event = event, .job_id = job->id, .payload = payload,
			};
		deliver_say(worker->deliver, &(struct deliver_words){ .deliveries = deliveries, .count = audience.count,
			.dedup_key = key, .by = by, .with_move = with_move }, NULL, NULL);
		free(deliveries);
		free(payload);
		free(key);
	}
	disperse(&audience);
}

static void tell(struct worker *worker, const struct job *job, const char *event, bool with_move)
{
	tell_of(worker, job, job, event, with_move);
}

/* Before its first attempt, though that may have been intended by the same commit. */
void tell_accepted(struct worker *worker, const struct job *job)
{
	struct job accepted = *job;

	accepted.attempt = (struct job_attempt){ 0 };
	if (job->state == JOB_LAUNCHING || job->state == JOB_CANCELLING)
		accepted.state = JOB_QUEUED;
	tell_of(worker, job, &accepted, "accepted", false);
}

void tell_started(struct worker *worker, const struct job *job)
{
	tell(worker, job, "started", false);
}

static void tell_end(struct worker *worker, const struct job *job, bool with_move)
{
	bool uncertain = job->state == JOB_FAILED && job->reason != NULL && strcmp(job->reason, "uncertain") == 0;

	tell(worker, job, uncertain ? "uncertain" : job_state_name(job->state), with_move);
}

void tell_ended(struct worker *worker, const struct job *job)
{
	tell_end(worker, job, false);
}

/* As it will be; the texts are lent by the two. */
static struct job job_with(const struct job *job, const struct job_result *result)
{
	struct job changed = *job;

	changed.state = result->state;
	changed.reason = result->reason[0] != '\0' ? (char *)result->reason : NULL;
	changed.detail = result->detail[0] != '\0' ? (char *)result->detail : NULL;
	changed.waits_for = NULL;
	changed.next_try_ms = 0;
	changed.exit_code = result->exit_code;
	return changed;
}

void tell_retrying(struct worker *worker, const struct job *job, const struct job_result *result)
{
	struct job queued = job_with(job, result);

	queued.state = JOB_QUEUED;
	tell(worker, &queued, "retrying", true);
}

void tell_result(struct worker *worker, const struct job *job, const struct job_result *result)
{
	struct job ended = job_with(job, result);

	ended.finished_ms = clock_steady_ms();
	tell_end(worker, &ended, true);
}
