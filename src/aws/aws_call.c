/* SPDX-License-Identifier: Apache-2.0 */
/* aws_call.c - one call: credentials, signature, request, answer, and the same again if that may help.
 *
 * A call waits for one thing at a time: for credentials, for an answer, or for its pause timer, which
 * begins the next try or tells how the call has ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/aws_error.h"
#include "aws/aws_impl.h"
#include "aws/service.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	CALL_TIMEOUT_MS = 15000,
	CALL_HEADERS = 8,
	LIMIT_REQUEST_ID_BYTES = 128,
	LIMIT_TARGET_BYTES = 128,
};

struct aws_call {
	struct list link;               /* aws::calls */
	struct aws *aws;
	enum aws_service id;
	const struct service *service;
	const char *action;
	struct aws_place *place;        /* NULL: not known yet, as no region is */
	char *origin;                   /* as the caller gave it, until place is known; NULL: none */
	char *body;
	size_t body_bytes;
	const char *const *reads;       /* of the answer; NULL: all */
	unsigned timeout_ms;
	bool long_poll;
	unsigned tries, tried;
	unsigned paid;                  /* tokens for the last retry */

	bool asking;                    /* waits for credentials */
	struct http_call *http;         /* waits for an answer */
	ev_timer pause;
	bool ending;                    /* the pause ends the call, with err */

	struct credentials *credentials;        /* of the last try */
	double signed_s;                /* clock offset that the last try was signed with */
	bool renewed;                   /* has asked for new credentials once */
	bool uncertain;                 /* a try may have had its effect, whatever came after it */

	struct error err;
	json_t *error_doc;
	long status;
	char request_id[LIMIT_REQUEST_ID_BYTES];
	bool telling;
	aws_reply_fn *done;
	void *arg;
};

static void try_once(struct aws_call *call);
static void begin(struct aws_call *call, const char *region, const char *origin);

static void call_destroy(struct aws_call *call)
{
	list_remove(&call->link);
	aws_place_drop(call->place);
	free(call->origin);
	free(call->body);
	credentials_free(call->credentials);
	json_decref(call->error_doc);
	free(call);
}

/* Last thing done with a call: whoever is told may destroy everything else. */
static void tell(struct aws_call *call, const struct aws_reply *reply, const struct error *err)
{
	list_remove(&call->link);
	aws_place_drop(call->place);
	call->place = NULL;
	call->telling = true;
	call->done(call->arg, reply, err);
	call_destroy(call);
}

static void tell_failure(struct aws_call *call, const struct http_reply *answer)
{
	struct aws_reply reply = {
		.body = answer != NULL ? answer->body : "",
		.body_bytes = answer != NULL ? answer->body_bytes : 0,
		.status = call->status,
		.request_id = call->request_id,
		.error_doc = call->error_doc,
	};

	/* "Did not happen" would be a lie when an earlier try got lost on its way. */
	if (call->uncertain && (call->err.kind == ERROR_TEMPORARY || call->err.kind == ERROR_THROTTLED))
		call->err.kind = ERROR_AMBIGUOUS;
	call->aws->figures.failures++;
	tell(call, &reply, &call->err);
}

static void pause_for(struct aws_call *call, double delay_s, bool ending)
{
	call->ending = ending;
	ev_timer_set(&call->pause, delay_s, 0.);
	ev_timer_start(call->aws->loop, &call->pause);
}

static void on_pause(struct ev_loop *loop, ev_timer *pause, int revents)
{
	struct aws_call *call = container_of(pause, struct aws_call, pause);

	(void)loop;
	(void)revents;
	if (call->ending)
		tell_failure(call, NULL);
	else if (call->place == NULL)
		begin(call, NULL, call->origin);
	else
		try_once(call);
}

static void tell_outcome(const struct aws_call *call, enum aws_outcome outcome)
{
	const struct aws *aws = call->aws;

	if (aws->outcome != NULL)
		aws->outcome(aws->outcome_arg, call->id, call->action, outcome, call->tried > 1);
}

static enum aws_outcome refusal_outcome(const struct aws_call *call, enum retry_cause cause)
{
	if (cause == RETRY_THROTTLED)
		return AWS_OUTCOME_THROTTLED;
	return call->status >= 500 ? AWS_OUTCOME_SERVER_ERROR : AWS_OUTCOME_REFUSED;
}

/* Tries again later, or tells.  cause and retry_after_ms are what the failed try said about it. */
static void retry_or_tell(struct aws_call *call, enum retry_cause cause, int64_t retry_after_ms,
	const struct http_reply *answer)
{
	struct retry_bucket *bucket = &call->aws->buckets[call->id];
	unsigned retry = call->tried > 0 ? call->tried - 1 : 0;
	double delay_s = retry_delay_s(retry, cause, random_unit(), retry_after_ms);

	if (call->err.kind == ERROR_AMBIGUOUS)
		call->uncertain = true;
	if (cause == RETRY_THROTTLED)
		call->aws->figures.throttles++;
	if (cause != RETRY_NEVER && call->tried < call->tries && retry_bucket_pay(bucket, cause, &call->paid)) {
		call->aws->figures.retries++;
		log_debug(&call->aws->log, "%s; again in %.3fs", call->err.text, delay_s);
		pause_for(call, delay_s, false);
	} else if (cause != RETRY_NEVER && call->long_poll) {
		/* A loop of polls must not spin when all of them fail at once. */
		pause_for(call, delay_s, true);
	} else {
		tell_failure(call, answer);
	}
}

/* The answer */

static void warn_of_skew(struct aws *aws)
{
	double off_s = aws->skew.offset_s < 0 ? -aws->skew.offset_s : aws->skew.offset_s;

	if (off_s <= SKEW_WARN_S) {
		aws->skew_told = false;
	} else if (!aws->skew_told) {
		aws->skew_told = true;
		log_warn(&aws->log, "this host's clock is %.0fs %s AWS's; signatures are corrected, but set the clock",
			off_s, aws->skew.offset_s > 0 ? "behind" : "ahead of");
	}
}

/* A long poll's round trip says nothing about the clock, unless it was refused and so answered at once. */
static void learn_clock(struct aws_call *call, const struct http_reply *answer)
{
	if (call->long_poll && answer->status < 400)
		return;
	if (skew_sample(&call->aws->skew, http_reply_header(answer, "Date"), http_reply_header(answer, "Age"),
		answer->sent_s, answer->received_s))
		warn_of_skew(call->aws);
}

static void keep_request_id(struct aws_call *call, const struct http_reply *answer)
{
	const char *id = http_reply_header(answer, "x-amzn-RequestId");
	size_t used = 0;

	if (id == NULL)
		id = http_reply_header(answer, "x-amz-request-id");
	for (; id != NULL && *id != '\0' && used + 1 < sizeof(call->request_id); id++)
		if (*id > ' ' && *id < 0x7f)
			call->request_id[used++] = *id;
	call->request_id[used] = '\0';
}

static int64_t retry_after_ms(const struct http_reply *answer)
{
	const char *ms = http_reply_header(answer, "x-amz-retry-after");
	char *end;
	double value;

	if (ms != NULL) {
		value = strtod(ms, &end);
		if (end != ms && *end == '\0' && value >= 0 && value < 86400e3)
			return (int64_t)value;
	}
	return retry_after_parse(http_reply_header(answer, "Retry-After"), answer->received_s);
}

/* The credentials may have been changed under us; the same ones again would be refused again. */
static bool credentials_changed(struct aws_call *call)
{
	const struct credentials *now = credentials_now(call->aws->credentials), *old = call->credentials;
	const char *old_token = old->session_token != NULL ? old->session_token : "";

	return now == NULL || strcmp(now->access_key, old->access_key) != 0
		|| strcmp(now->session_token != NULL ? now->session_token : "", old_token) != 0;
}

static bool renew_credentials(struct aws_call *call)
{
	if (call->renewed)
		return false;
	call->renewed = true;
	credentials_reject(call->aws->credentials, call->credentials->access_key);
	return credentials_changed(call);
}

static void set_refusal(struct aws_call *call, const struct aws_error *error, enum error_kind kind)
{
	const char *token = call->credentials->session_token;
	bool secret = token != NULL && strstr(error->text, token) != NULL;

	error_set(&call->err, kind, "%s %s: %s%s%s (%sHTTP %ld%s%s)", call->service->name, call->action,
		error->named ? error->code : "no error code", error->text[0] != '\0' && !secret ? ": " : "",
		secret ? "" : error->text, error->named ? "" : "not an answer of AWS, ", call->status,
		call->request_id[0] != '\0' ? ", request " : "", call->request_id);
	error_set_code(&call->err, error->code);
}

static void take_refusal(struct aws_call *call, const struct http_reply *answer)
{
	struct aws_meaning meaning;
	struct aws_error error;
	bool clock;

	aws_error_parse(&error, answer);
	meaning = aws_error_meaning(&error, call->id, answer->status);
	clock = skew_explains(&call->aws->skew, error.code, error.text, call->signed_s);
	/* The offset is known now: whoever asks again later is signed right. */
	set_refusal(call, &error, clock ? ERROR_TEMPORARY : meaning.kind);
	call->error_doc = error.doc != NULL ? json_incref(error.doc) : NULL;
	aws_error_finish(&error);
	tell_outcome(call, refusal_outcome(call, meaning.retry));
	if (meaning.credentials && renew_credentials(call))
		try_once(call);
	else
		retry_or_tell(call, clock ? RETRY_TRANSIENT : meaning.retry, retry_after_ms(answer), answer);
}

static void take_success(struct aws_call *call, const struct http_reply *answer)
{
	struct aws_reply reply = {
		.body = answer->body,
		.body_bytes = answer->body_bytes,
		.status = answer->status,
		.request_id = call->request_id,
	};
	struct error why = { 0 };

	if (call->service->protocol == SERVICE_JSON) {
		reply.doc = answer->body_bytes == 0 ? json_object()
			: call->service->binary ? json_at_parse_binary(answer->body, answer->body_bytes, &why)
						: json_at_parse_wanted(answer->body, answer->body_bytes, call->reads, &why);
		if (reply.doc == NULL || !json_is_object(reply.doc)) {
			/* The call was made; what came of it is not known. */
			error_set(&call->err, ERROR_AMBIGUOUS, "%s %s: the answer is not a JSON object%s%.120s (HTTP %ld, "
				"%zu bytes)", call->service->name, call->action, why.text[0] != '\0' ? ": " : "", why.text,
				answer->status, answer->body_bytes);
			json_decref(reply.doc);
			tell_outcome(call, AWS_OUTCOME_SERVER_ERROR);
			retry_or_tell(call, RETRY_TRANSIENT, -1, answer);
			return;
		}
	}
	tell_outcome(call, AWS_OUTCOME_OK);
	retry_bucket_earn(&call->aws->buckets[call->id], call->paid);
	/* The document must outlive the call, whose completion may be the end of its owner. */
	tell(call, &reply, NULL);
	json_decref(reply.doc);
}

static void on_answer(void *arg, const struct http_reply *answer, const struct error *err)
{
	struct aws_call *call = arg;
	enum retry_cause cause;

	call->http = NULL;
	json_decref(call->error_doc);
	call->error_doc = NULL;
	call->status = answer->status;
	keep_request_id(call, answer);
	if (err != NULL) {
		cause = error_may_pass(err->kind) && strcmp(err->code, HTTP_OVER_LIMIT) != 0 ? RETRY_TRANSIENT : RETRY_NEVER;
		error_set(&call->err, err->kind, "%s %s: no answer from %s: %s", call->service->name, call->action,
			call->place->endpoint.host, err->text);
		tell_outcome(call, AWS_OUTCOME_NO_ANSWER);
		retry_or_tell(call, cause, -1, answer);
		return;
	}
	learn_clock(call, answer);
	if (answer->status >= 200 && answer->status < 300)
		take_success(call, answer);
	else
		take_refusal(call, answer);
}

/* The request */

/* A line break in a credential would let it write headers of its own. */
static bool is_header_value(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* The header lines of a try, one behind the other in text, and what of them is signed. */
struct head {
	struct buf *text;
	struct sigv4_header fields[CALL_HEADERS];
	size_t at[CALL_HEADERS];        /* where each line begins */
	size_t count;
};

static void begin_line(struct head *head, const char *name)
{
	head->at[head->count] = head->text->size;
	buf_add_text(head->text, name);
	buf_add_text(head->text, ": ");
}

static void add_line(struct head *head, const char *name, const char *value)
{
	begin_line(head, name);
	buf_add(head->text, value, strlen(value) + 1);
	head->fields[head->count++] = (struct sigv4_header){ name, value };
}

static void set_stamp(struct aws *aws)
{
	time_t now = (time_t)((double)clock_wall_ms() / 1000.0 + aws->skew.offset_s);

	if (now != aws->stamped || aws->stamp[0] == '\0')
		sigv4_stamp(now, aws->stamp);
	aws->stamped = now;
}

static bool sign(struct aws_call *call, struct head *head)
{
	struct sigv4_request request = {
		.method = "POST",
		.path = call->place->endpoint.path,
		.headers = head->fields,
		.header_count = head->count,
		.body = call->body,
		.body_bytes = call->body_bytes,
		.region = call->place->region,
		.service = call->service->label,
		.stamp = call->aws->stamp,
	};
	bool ok;

	begin_line(head, "Authorization");
	ok = sigv4_sign(call->credentials->signer, &request, head->text) && buf_add_char(head->text, '\0');
	head->count++;
	return ok;
}

/* False: the credentials cannot be part of a header, or all is too long. */
static bool write_head(struct aws_call *call, struct head *head)
{
	const struct credentials *credentials = call->credentials;
	char target[LIMIT_TARGET_BYTES];

	set_stamp(call->aws);
	add_line(head, "Host", call->place->endpoint.host);
	add_line(head, "Content-Type", call->service->content_type);
	add_line(head, "X-Amz-Date", call->aws->stamp);
	if (call->service->target != NULL) {
		snprintf(target, sizeof(target), "%s.%s", call->service->target, call->action);
		add_line(head, "X-Amz-Target", target);
	}
	if (call->id == AWS_SQS)        /* asks for the older protocol's error code in a header */
		add_line(head, "x-amzn-query-mode", "true");
	if (credentials->session_token != NULL)
		add_line(head, "X-Amz-Security-Token", credentials->session_token);
	return is_header_value(credentials->access_key) && is_header_value(credentials->session_token)
		&& sign(call, head);
}

static void start(struct aws_call *call, const struct head *head)
{
	const char *lines[CALL_HEADERS + 1] = { 0 };
	struct http_request request = {
		.method = "POST",
		.url = call->place->endpoint.url,
		.headers = lines,
		.body = call->body,
		.body_bytes = call->body_bytes,
		.timeout_ms = call->timeout_ms,
		.reply_limit = LIMIT_AWS_REPLY_BYTES,
	};

	for (size_t i = 0; i < head->count; i++)
		lines[i] = head->text->bytes + head->at[i];
	call->http = http_client_start(call->aws->http, &request, on_answer, call);
}

static void send_request(struct aws_call *call, const struct credentials *credentials)
{
	struct aws *aws = call->aws;
	struct head head = { .text = &aws->head };

	call->signed_s = aws->skew.offset_s;
	if (credentials != call->credentials) {
		credentials_free(call->credentials);
		call->credentials = credentials_hold(credentials);
	}
	if (write_head(call, &head)) {
		call->tried++;
		aws->figures.calls[call->id]++;
		start(call, &head);
	} else {
		error_set(&call->err, ERROR_REFUSED, "%s %s: the credentials cannot be sent: line breaks, or too long",
			call->service->name, call->action);
		pause_for(call, 0, true);
	}
	if (aws->head.bytes != NULL)
		explicit_bzero(aws->head.bytes, aws->head.size);
	buf_clear(&aws->head);
}

static void on_credentials(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct aws_call *call = arg;

	call->asking = false;
	if (err == NULL) {
		send_request(call, credentials);
		return;
	}
	call->err = *err;
	error_prefix(&call->err, "%s %s", call->service->name, call->action);
	if (call->long_poll && error_may_pass(err->kind))
		pause_for(call, retry_delay_s(call->tried, RETRY_THROTTLED, random_unit(), -1), true);
	else
		tell_failure(call, NULL);
}

static void try_once(struct aws_call *call)
{
	const struct credentials *credentials = credentials_now(call->aws->credentials);

	if (credentials != NULL) {
		send_request(call, credentials);
		return;
	}
	call->asking = true;
	credentials_get(call->aws->credentials, on_credentials, call);
}

/* Also, without a region, when the lookup of it has ended. */
static void begin(struct aws_call *call, const char *region, const char *origin)
{
	struct aws *aws = call->aws;

	if (region == NULL)
		region = aws->settings.region;
	if (region == NULL && aws_region_awaited(aws)) {
		if (call->origin == NULL)
			call->origin = xstrdup(origin);
		return;
	}
	if (region == NULL) {
		error_set(&call->err, ERROR_REFUSED, "%s %s: no region: looked at aws.region, AWS_REGION, AWS_DEFAULT_REGION, "
			"the profile and the instance: %.300s", call->service->name, call->action, aws->region_why.text);
	} else {
		call->place = aws_place_hold(&aws->places, &aws->settings, call->id, region, origin, &call->err);
		if (call->place == NULL)
			error_prefix(&call->err, "%s %s", call->service->name, call->action);
	}
	if (call->place != NULL)
		try_once(call);
	else
		pause_for(call, 0, true);
}

struct aws_call *aws_call(struct aws *aws, const struct aws_request *request, aws_reply_fn *done, void *arg)
{
	struct aws_call *call = xnew(struct aws_call);

	call->aws = aws;
	call->id = request->service;
	call->service = service_of(request->service);
	call->action = request->action;
	call->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : CALL_TIMEOUT_MS;
	call->reads = request->reads;
	call->long_poll = request->long_poll;
	call->tries = request->tries > 0 ? request->tries : aws->settings.tries;
	call->done = done;
	call->arg = arg;
	if (request->text != NULL)
		call->body = xstrdup(request->text);
	else
		call->body = request->input != NULL ? json_at_dump(request->input) : xstrdup("{}");
	call->body_bytes = strlen(call->body);
	ev_init(&call->pause, on_pause);
	list_append(&aws->calls, &call->link);
	begin(call, request->region, request->endpoint);
	return call;
}

void aws_calls_wake(struct aws *aws)
{
	struct aws_call *call;

	list_each(call, &aws->calls, link)
		if (call->place == NULL && !ev_is_active(&call->pause))
			pause_for(call, 0, false);
}

void aws_call_cancel(struct aws_call *call)
{
	if (call == NULL || call->telling)
		return;
	if (call->asking)
		credentials_cancel(call->aws->credentials, call);
	http_call_cancel(call->http);
	ev_timer_stop(call->aws->loop, &call->pause);
	call_destroy(call);
}

void aws_calls_cancel(struct aws *aws)
{
	struct aws_call *call, *next;

	list_each_safe(call, next, &aws->calls, link)
		aws_call_cancel(call);
}
