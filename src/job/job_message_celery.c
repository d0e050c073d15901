/* SPDX-License-Identifier: Apache-2.0 */
/* job_message_celery.c - see job_message_celery.h.
 *
 *	{ "body": base64 of [args, kwargs, embed], "content-type": "application/json",
 *	  "headers": { "id", "task", "eta", ... }, "properties": { "body_encoding": "base64", ... } }
 *
 * On SQS all of it may be in base64 once more. */
#include "job/job_message_celery.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_at.h"

static bool refuse(struct error *err, const char *what)
{
	error_set(err, ERROR_INVALID, "body: expected a Celery message (protocol 2, JSON), found %s", what);
	return false;
}

static json_t *parse_outer(const char *body, size_t body_bytes)
{
	size_t size;
	char *plain;
	json_t *root;

	if (body_bytes > 0 && body[0] == '{')
		return json_at_parse(body, body_bytes, NULL);
	plain = base64_decode(body, body_bytes, &size);
	root = plain != NULL ? json_at_parse(plain, size, NULL) : NULL;
	free(plain);
	return root;
}

/* [args, kwargs, embed]; a new reference. */
static json_t *parse_call(const json_t *root)
{
	const char *text = json_at_string(root, "body"), *encoding = json_at_string(root, "properties.body_encoding");
	size_t size;
	char *plain;
	json_t *call;

	if (text == NULL)
		return NULL;
	if (encoding == NULL || strcmp(encoding, "base64") != 0)
		return json_at_parse(text, strlen(text), NULL);
	plain = base64_decode(text, strlen(text), &size);
	call = plain != NULL ? json_at_parse(plain, size, NULL) : NULL;
	free(plain);
	return call;
}

/* Seconds from now to an ISO 8601 time with or without a zone (then UTC); 0: it has passed, or is none. */
static double seconds_to(const char *eta)
{
	struct tm tm = { 0 };
	const char *rest = eta != NULL ? strptime(eta, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int hours = 0, minutes = 0;
	double fraction = 0, left_s;

	if (rest == NULL)
		return 0;
	if (*rest == '.')
		fraction = strtod(rest, (char **)&rest);
	if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
		return 0;
	left_s = (double)timegm(&tm) + fraction - (*rest == '-' ? -1 : 1) * (hours * 3600.0 + minutes * 60.0) -
		(double)clock_wall_ms() / 1000;
	return left_s > 0 ? left_s : 0;
}

static char *compose(const json_t *headers, const json_t *args, const json_t *kwargs)
{
	json_t *message = json_copy((json_t *)kwargs);
	double left_s = seconds_to(json_at_string(headers, "eta"));
	char *text;

	json_object_set(message, "id", json_object_get(headers, "id"));
	if (json_object_get(message, "task") == NULL)
		json_object_set(message, "task", json_object_get(headers, "task"));
	if (json_object_get(message, "args") == NULL)
		json_object_set(message, "args", (json_t *)args);
	if (left_s > 0)
		json_object_set_new(message, "delay", json_integer((json_int_t)ceil(left_s)));
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	return text;
}

char *job_message_unwrap_celery(const char *body, size_t body_bytes, struct error *err)
{
	json_t *root = parse_outer(body, body_bytes), *call = NULL;
	const json_t *headers = json_object_get(root, "headers");
	const char *type = json_at_string(root, "content-type");
	char *text = NULL;

	if (root == NULL || json_at_string(headers, "id") == NULL || json_at_string(headers, "task") == NULL)
		refuse(err, "none with headers.id and headers.task");
	else if (type == NULL || strcmp(type, "application/json") != 0)
		refuse(err, "another content-type: set task_serializer to json");
	else if ((call = parse_call(root)) == NULL || !json_is_array(json_array_get(call, 0)) ||
		 !json_is_object(json_array_get(call, 1)))
		refuse(err, "a body that is not [args, kwargs, embed]");
	else
		text = compose(headers, json_array_get(call, 0), json_array_get(call, 1));
	json_decref(call);
	json_decref(root);
	return text;
}
