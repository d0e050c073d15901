/* SPDX-License-Identifier: Apache-2.0 */
/* submit.c - see submit.h. */
#include "api/submit.h"

#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "aws/aws.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/conf_job.h"
#include "queue/queue.h"

struct submitter {
	struct api *api;
	struct aws *aws;
	struct queue **queues;          /* one per conf->queues */
	struct list submissions;        /* not answered yet */
};

struct submission {
	struct list link;
	struct submitter *submitter;
	const struct conf_queue *queue;
	struct job *job;
	char *body;                     /* as it is sent */
	struct store_admission admission;
	const struct texts *projects;   /* that the asker may touch; NULL: all */
	submitted_fn *done;
	void *arg;
};

/* The api holds no message: these queues are never started. */
static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	(void)arg, (void)messages, (void)count;
}

static const struct queue_events no_events = { .received = on_received };

struct submitter *submitter_create(struct api *api, struct error *err)
{
	struct submitter *submitter = xnew(struct submitter);
	struct queue_env env = { .loop = api->loop, .log = &api->log };

	submitter->api = api;
	list_init(&submitter->submissions);
	submitter->queues = xcalloc(api->conf->queue_count, sizeof(*submitter->queues));
	submitter->aws = aws_create(api->loop, &api->log, &api->conf->aws, err);
	env.aws = submitter->aws;
	if (submitter->aws != NULL)
		api_figures_watch(api, submitter->aws);
	for (size_t i = 0; submitter->aws != NULL && i < api->conf->queue_count; i++) {
		submitter->queues[i] = queue_create(&api->conf->queues[i], &env, &no_events, err);
		if (submitter->queues[i] == NULL)
			break;
		if (i + 1 == api->conf->queue_count)
			return submitter;
	}
	submitter_destroy(submitter);
	return NULL;
}

struct queue *const *submitter_queues(const struct submitter *submitter)
{
	return submitter->queues;
}

static void submission_destroy(struct submission *submission)
{
	list_remove(&submission->link);
	job_destroy(submission->job);
	free(submission->admission.owner);
	free(submission->body);
	free(submission);
}

void submitter_destroy(struct submitter *submitter)
{
	struct error err;

	if (submitter == NULL)
		return;
	while (!list_empty(&submitter->submissions)) {
		struct submission *submission = list_first(&submitter->submissions, struct submission, link);

		error_set(&err, ERROR_TEMPORARY, "gantryd is leaving");
		submission->done(submission->arg, NULL, &err);
		submission_destroy(submission);
	}
	for (size_t i = 0; i < submitter->api->conf->queue_count; i++)
		queue_destroy(submitter->queues[i]);
	aws_destroy(submitter->aws);
	free(submitter->queues);
	free(submitter);
}

/* -- into the store --------------------------------------------------------------------------- */

static void submission_end(struct submission *submission, const struct submitted *submitted, const struct error *err)
{
	submission->done(submission->arg, err == NULL ? submitted : NULL, err);
	submission_destroy(submission);
}

/* Whoever guesses the id of somebody else's job learns that it is taken, and nothing of the job. */
static void on_known(void *arg, const struct job *record, const struct error *err)
{
	struct submission *submission = arg;
	struct submitted submitted = { .job = record, .known = true, .queue = submission->queue->name };
	struct error why = { 0 };

	if (err != NULL) {
		why = *err;
	} else if (record == NULL) {
		error_set(&why, ERROR_TEMPORARY, "the job was just forgotten");
	} else if (submission->projects != NULL && !texts_match(submission->projects, record->project)) {
		error_set(&why, ERROR_REFUSED, "id \"%s\" names a job of another project", record->id);
		error_set_code(&why, "conflict");
	}
	submission_end(submission, &submitted, why.kind != ERROR_NONE ? &why : NULL);
}

/* It is accepted, also when nobody can say how many are before it. */
static void on_position(void *arg, const struct store_why *why, const struct error *err)
{
	struct submission *submission = arg;
	struct submitted submitted = { .job = submission->job, .queue = submission->queue->name };

	(void)err;
	if (why != NULL)
		submitted.ahead = why->ahead;
	submission_end(submission, &submitted, NULL);
}

static void on_admitted(void *arg, const struct error *err)
{
	struct submission *submission = arg;
	struct submitted submitted = { .job = submission->job, .queue = submission->queue->name };
	struct api *api = submission->submitter->api;
	enum store_admitted verdict = submission->admission.verdict;

	/* Those that it superseded have owners who shall hear of it. */
	if (err == NULL && verdict == STORE_ADMITTED_NEW)
		api_hint(api, submission->job->policy == LOCK_LATEST ? API_HINT_NEWS : API_HINT_JOBS);
	if (err != NULL || verdict == STORE_ADMITTED_REJECTED ||
		(verdict == STORE_ADMITTED_NEW && submission->job->state != JOB_WAITING))
		submission_end(submission, &submitted, err);
	else if (verdict == STORE_ADMITTED_NEW)
		store_why(api->store, submission->job->id, on_position, submission);
	else
		store_find(api->store, submission->job->id, on_known, submission);
}

static void admit(struct submission *submission)
{
	submission->admission = (struct store_admission){ .job = submission->job, .released = true };
	store_admit(submission->submitter->api->store, &submission->admission, 1, on_admitted, submission);
}

/* -- into another queue ----------------------------------------------------------------------- */

static void on_sent(void *arg, size_t sent, const struct error *err)
{
	struct submission *submission = arg;
	struct submitted submitted = { .job = submission->job, .sent = true, .queue = submission->queue->name };

	(void)sent;
	submission->done(submission->arg, err == NULL ? &submitted : NULL, err);
	submission_destroy(submission);
}

/* A FIFO queue's group is the project: its deployments stay in order. */
static void send_on(struct submission *submission)
{
	struct submitter *submitter = submission->submitter;
	struct queue *queue = submitter->queues[submission->queue - submitter->api->conf->queues];
	struct queue_outgoing message = { .body = submission->body };

	if (queue_ordered(queue)) {
		message.group = submission->job->project;
		message.dedup = submission->job->id;
	}
	queue_send(queue, &message, 1, on_sent, submission);
}

/* -- understanding ---------------------------------------------------------------------------- */

static const struct conf_queue *find_queue(const struct conf *conf, const char *name, struct error *err)
{
	const struct conf_queue *queue;

	if (name == NULL)
		name = conf->api->queue;
	if (name == NULL) {
		error_set(err, ERROR_INVALID, "queue: expected ?queue=NAME, as the configuration has no api.queue");
		return NULL;
	}
	queue = conf_find_queue(conf, name);
	if (queue == NULL)
		error_set(err, ERROR_INVALID, "queue: expected the name of a configured queue, found \"%s\"", name);
	if (queue != NULL && conf_is_events_queue(conf, name)) {
		error_set(err, ERROR_INVALID, "queue: expected one that jobs come from, found \"%s\", which ecs.events names", name);
		return NULL;
	}
	return queue;
}

/* The body with an id, so that whoever sent it can ask for the job before a worker has seen it. */
static char *complete(const char *body, size_t size, const char *deployer, struct error *err)
{
	json_t *doc = json_at_parse(body, size, err);
	char id[RANDOM_ID_BYTES];
	char *text;

	if (doc == NULL)
		return NULL;
	if (!json_is_object(doc)) {
		error_set(err, ERROR_INVALID, "body: expected a JSON object");
		json_decref(doc);
		return NULL;
	}
	if (json_object_get(doc, "id") == NULL || json_is_null(json_object_get(doc, "id"))) {
		random_id(id);
		json_object_set_new(doc, "id", json_string(id));
	}
	if (deployer != NULL && json_object_get(doc, "deployer") == NULL)
		json_object_set_new(doc, "deployer", json_string(deployer));
	text = json_at_dump(doc);
	json_decref(doc);
	return text;
}

static bool understand(struct submission *submission, const struct request *request, const char *queue_name,
	const char *deployer, const char *body, size_t size, struct error *err)
{
	const struct conf *conf = submission->submitter->api->conf;

	submission->queue = find_queue(conf, queue_name, err);
	if (submission->queue == NULL)
		return false;
	submission->body = complete(body, size, deployer, err);
	if (submission->body == NULL)
		return false;
	submission->job = conf_job_parse(conf, submission->queue, NULL, submission->body, strlen(submission->body), err);
	if (submission->job == NULL)
		return false;
	if (auth_may_project(request, submission->job->project))
		return true;
	error_set(err, ERROR_REFUSED, "this token is not good for project \"%s\"", submission->job->project);
	error_set_code(err, "forbidden");
	return false;
}

void submit(struct submitter *submitter, const struct request *request, const char *queue_name, const char *deployer,
	const char *body, size_t body_bytes, submitted_fn *done, void *arg)
{
	struct submission *submission = xnew(struct submission);
	struct error err;

	*submission = (struct submission){ .submitter = submitter, .done = done, .arg = arg };
	submission->projects = auth_projects(request);
	list_append(&submitter->submissions, &submission->link);
	if (!understand(submission, request, queue_name, deployer, body, body_bytes, &err)) {
		done(arg, NULL, &err);
		submission_destroy(submission);
		return;
	}
	if (submission->queue->type == CONF_QUEUE_STORE)
		admit(submission);
	else
		send_on(submission);
}
