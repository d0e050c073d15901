/* SPDX-License-Identifier: Apache-2.0 */
/* fake_aws.c - see fake_aws.h. */
#include "fake_aws.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/list.h"
#include "base/mem.h"
#include "../cmocka_all.h"

enum { QUIET_TURNS = 4 };

struct reply {
	struct list link;               /* fake.scripts */
	char *action;
	json_t *doc, *error_doc;
	struct error error;
	fake_aws_fn *fn;                /* a rule that stays */
	void *arg;
};

struct aws_call {
	struct list link;               /* fake.calls, in order */
	struct fake_call face;
	char *action;
	const char *const *reads;
	aws_reply_fn *done;
	void *arg;
	struct reply *reply;            /* what it will be answered with */
	ev_timer timer;
};

static struct {
	struct ev_loop *loop;
	struct list scripts, rules, calls;
	int activity;
} fake;

static int address;

struct aws *fake_aws(void)
{
	return (struct aws *)&address;
}

void fake_aws_begin(struct ev_loop *loop)
{
	fake.loop = loop;
	list_init(&fake.scripts);
	list_init(&fake.rules);
	list_init(&fake.calls);
}

static void reply_free(struct reply *reply)
{
	if (reply == NULL)
		return;
	list_remove(&reply->link);
	json_decref(reply->doc);
	json_decref(reply->error_doc);
	free(reply->action);
	free(reply);
}

size_t fake_aws_end(void)
{
	struct aws_call *call, *next_call;
	struct reply *reply, *next;
	size_t open = 0;

	list_each_safe(call, next_call, &fake.calls, link) {
		open += !call->face.answered && !call->face.cancelled;
		ev_timer_stop(fake.loop, &call->timer);
		reply_free(call->reply);
		json_decref(call->face.input);
		free(call->face.region);
		free(call->face.endpoint);
		free(call->action);
		free(call);
	}
	list_each_safe(reply, next, &fake.scripts, link)
		reply_free(reply);
	list_each_safe(reply, next, &fake.rules, link)
		reply_free(reply);
	return open;
}

static json_t *parse(const char *text)
{
	struct error err;
	json_t *doc = text != NULL ? json_at_parse(text, strlen(text), &err) : NULL;

	if (text != NULL && doc == NULL)
		fail_msg("a scripted answer is %s: %s", err.text, text);
	return doc;
}

static struct reply *reply_create(struct list *list, const char *action)
{
	struct reply *reply = xnew(struct reply);

	reply->action = xstrdup(action);
	list_append(list, &reply->link);
	return reply;
}

void fake_aws_answer(const char *action, const char *json)
{
	reply_create(&fake.scripts, action)->doc = parse(json);
}

void fake_aws_fail(const char *action, enum error_kind kind, const char *code, const char *text, const char *error_doc)
{
	struct reply *reply = reply_create(&fake.scripts, action);

	error_set(&reply->error, kind, "%s", text);
	error_set_code(&reply->error, code);
	reply->error_doc = parse(error_doc);
}

void fake_aws_otherwise(const char *action, fake_aws_fn *fn, void *arg)
{
	struct reply *reply = reply_create(&fake.rules, action);

	reply->fn = fn;
	reply->arg = arg;
}

json_t *fake_aws_all_succeed(const json_t *input, void *arg)
{
	json_t *successful = json_array();
	const json_t *entry;
	size_t i;

	(void)arg;
	json_array_foreach(json_object_get(input, "Entries"), i, entry)
		json_array_append_new(successful, json_pack("{s:O}", "Id", json_object_get(entry, "Id")));
	return json_pack("{s:o}", "Successful", successful);
}

/* What the caller has said to read: the rest may be missing in a real answer too.  doc is taken. */
static json_t *keep_read(json_t *doc, const char *const *reads)
{
	char *text;
	json_t *kept;

	if (doc == NULL || reads == NULL)
		return doc;
	text = json_at_dump(doc);
	kept = json_at_parse_wanted(text, strlen(text), reads, NULL);
	assert_non_null(kept);
	free(text);
	json_decref(doc);
	return kept;
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct aws_call *call = container_of(timer, struct aws_call, timer);
	struct reply *reply = call->reply;
	struct aws_reply answer = { .status = 200, .request_id = "fake", .error_doc = reply->error_doc };

	(void)loop;
	(void)revents;
	fake.activity++;
	call->face.answered = true;
	if (reply->fn != NULL && reply->doc == NULL)
		reply->doc = reply->fn(call->face.input, reply->arg);
	answer.doc = reply->doc = keep_read(reply->doc, call->reads);
	call->done(call->arg, &answer, reply->error.kind != ERROR_NONE ? &reply->error : NULL);
}

static void answer_with(struct aws_call *call, struct reply *reply)
{
	list_remove(&reply->link);
	call->reply = reply;
	ev_timer_start(fake.loop, &call->timer);
}

static struct reply *find(struct list *list, const char *action)
{
	struct reply *reply;

	list_each(reply, list, link) {
		if (strcmp(reply->action, action) == 0)
			return reply;
	}
	return NULL;
}

/* Read again where it was given as text; NULL for the query protocol. */
static json_t *input_of(const struct aws_request *request)
{
	if (request->text != NULL)
		return json_loads(request->text, JSON_REJECT_DUPLICATES, NULL);
	return json_deep_copy(request->input);
}

struct aws_call *aws_call(struct aws *aws, const struct aws_request *request, aws_reply_fn *done, void *arg)
{
	struct aws_call *call = xnew(struct aws_call);
	struct reply *reply, *rule;

	assert_ptr_equal(aws, fake_aws());
	fake.activity++;
	call->action = xstrdup(request->action);
	call->face = (struct fake_call){
		.input = input_of(request), .region = xstrdup(request->region),
		.endpoint = xstrdup(request->endpoint), .timeout_ms = request->timeout_ms, .tries = request->tries,
		.long_poll = request->long_poll,
	};
	call->reads = request->reads;
	call->done = done;
	call->arg = arg;
	ev_timer_init(&call->timer, on_time, 0., 0.);
	list_append(&fake.calls, &call->link);
	reply = find(&fake.scripts, request->action);
	if (reply == NULL && (rule = find(&fake.rules, request->action)) != NULL) {
		reply = reply_create(&fake.scripts, request->action);
		reply->fn = rule->fn;
		reply->arg = rule->arg;
	}
	if (reply != NULL)
		answer_with(call, reply);
	return call;
}

void aws_call_cancel(struct aws_call *call)
{
	if (call == NULL)
		return;
	call->face.cancelled = true;
	ev_timer_stop(fake.loop, &call->timer);
}

const char *aws_region(const struct aws *aws)
{
	(void)aws;
	return "us-east-1";
}

struct ev_loop *aws_loop(const struct aws *aws)
{
	(void)aws;
	return fake.loop;
}

size_t fake_aws_count(const char *action)
{
	struct aws_call *call;
	size_t count = 0;

	list_each(call, &fake.calls, link)
		count += strcmp(call->action, action) == 0;
	return count;
}

const struct fake_call *fake_aws_nth(const char *action, size_t n)
{
	struct aws_call *call;
	size_t left = n;

	list_each(call, &fake.calls, link) {
		if (strcmp(call->action, action) == 0 && left-- == 0)
			return &call->face;
	}
	fail_msg("there is no call %zu of %s", n, action);
	return NULL;
}

static bool is_open(const struct aws_call *call, const char *action)
{
	return strcmp(call->action, action) == 0 && call->reply == NULL && !call->face.cancelled;
}

size_t fake_aws_open(const char *action)
{
	struct aws_call *call;
	size_t count = 0;

	list_each(call, &fake.calls, link)
		count += is_open(call, action);
	return count;
}

static struct aws_call *oldest_open(const char *action)
{
	struct aws_call *call;

	list_each(call, &fake.calls, link) {
		if (is_open(call, action))
			return call;
	}
	fail_msg("no call of %s is open", action);
	return NULL;
}

void fake_aws_reply(const char *action, const char *json)
{
	struct aws_call *call = oldest_open(action);

	fake_aws_answer(action, json);
	answer_with(call, find(&fake.scripts, action));
}

void fake_aws_reply_error(const char *action, enum error_kind kind, const char *code, const char *text)
{
	struct aws_call *call = oldest_open(action);

	fake_aws_fail(action, kind, code, text, NULL);
	answer_with(call, find(&fake.scripts, action));
}

void fake_aws_run(void)
{
	for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
		int before = fake.activity;

		ev_run(fake.loop, EVRUN_NOWAIT);
		if (fake.activity != before)
			quiet = 0;
	}
}
