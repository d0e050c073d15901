/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - JSON or XML, headers and status; then what faults do to the bytes. */
#include "answer.h"

#include "call.h"
#include "json_text.h"
#include "xml_answer.h"

#include <string.h>

static void render_json_error(struct call *call, struct text *body)
{
	const struct aws_error *error = &call->error;
	const struct aws_error_kind *kind = aws_error_kind(error->shape);
	const char *name_space = call->service->error_namespace;
	json_t *object = json_object();
	char type[192];

	if (name_space == NULL)
		snprintf(type, sizeof(type), "%s", error->shape);
	else
		snprintf(type, sizeof(type), "%s#%s",
			 kind->name_space != NULL ? kind->name_space : name_space, error->shape);
	json_object_set_new(object, "__type", json_string(type));
	json_object_set_new(object, "message", json_string(error->message));
	if (error->members != NULL)
		json_object_update(object, error->members);
	json_text_value(body, object);
	json_decref(object);
}

static int error_status(const struct call *call)
{
	const struct aws_error_kind *kind = aws_error_kind(call->error.shape);

	if (call->error.status != 0)
		return call->error.status;
	if (call->protocol == CALL_JSON && call->service == &ecs_service && kind->json_status != 0)
		return kind->json_status;
	return kind->status;
}

static void render_plain(struct call *call, struct text *body)
{
	if (aws_error_is_set(&call->error)) {
		json_t *object = json_pack("{s:s, s:s}", "Code", call->error.shape, "Message",
					   call->error.message);

		json_text_value(body, object);
		json_decref(object);
	} else if (json_is_string(call->out)) {
		text_add_string(body, json_string_value(call->out));
	} else {
		json_text_value(body, call->out);
	}
}

static void render_body(struct call *call, struct text *body)
{
	const struct service *service = call->service;

	if (call->protocol == CALL_PLAIN)
		render_plain(call, body);
	else if (call->protocol == CALL_QUERY && aws_error_is_set(&call->error))
		xml_answer_error(body, service->query_namespace, &call->error, call->request_id);
	else if (call->protocol == CALL_QUERY)
		xml_answer(body, service->query_namespace, call->action->name, call->out,
			   call->request_id);
	else if (aws_error_is_set(&call->error))
		render_json_error(call, body);
	else if (call->raw.bytes > 0)
		text_add(body, call->raw.data, call->raw.bytes);
	else
		json_text_value(body, call->out);
}

static void render_headers(struct call *call, int status, struct text *headers)
{
	const struct aws_error_kind *kind;

	text_add_string(headers, "x-amzn-RequestId: ");
	text_add(headers, call->request_id, UUID_ROOM - 1);
	text_add(headers, "\r\n", 2);
	if (!aws_error_is_set(&call->error) || call->service != &sqs_service ||
	    call->protocol != CALL_JSON)
		return;
	kind = aws_error_kind(call->error.shape);
	text_addf(headers, "x-amzn-query-error: %s;%s\r\n",
		  kind->query_code != NULL ? kind->query_code : call->error.shape,
		  status >= 500 ? "Receiver" : "Sender");
}

/* ---- spoilt answers ---- */

/* Every value becomes one of a type that nobody expects there. */
static json_t *with_wrong_types(json_t *value)
{
	json_t *out, *inner;
	const char *name;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		out = json_object();
		json_object_foreach(value, name, inner)
			json_object_set_new(out, name, with_wrong_types(inner));
		return out;
	case JSON_ARRAY:
		out = json_object();
		json_array_foreach(value, i, inner) {
			char index[24];

			snprintf(index, sizeof(index), "%zu", i);
			json_object_set_new(out, index, with_wrong_types(inner));
		}
		return out;
	case JSON_STRING:
		return json_integer(42);
	case JSON_INTEGER:
	case JSON_REAL:
		return json_string("forty-two");
	default:
		return json_array();
	}
}

static void answer_change_types(struct call *call)
{
	json_t *wrong;

	if (call->raw.bytes > 0) {
		json_decref(call->out);
		call->out = json_loadb(call->raw.data, call->raw.bytes, 0, NULL);
		text_clear(&call->raw);
	}
	wrong = with_wrong_types(call->out);
	json_decref(call->out);
	call->out = wrong;
}

static void render_html(struct call *call, struct http_answer *answer, struct text *body)
{
	answer->status = call->fault->status != 0 ? call->fault->status : 503;
	answer->content_type = "text/html";
	answer->headers = NULL;
	text_clear(body);
	text_addf(body, "<html><head><title>%d Service Temporarily Unavailable</title></head>"
		  "<body><center><h1>%d Service Temporarily Unavailable</h1></center></body>"
		  "</html>\r\n", answer->status, answer->status);
}

static void render_garbage(struct call *call, struct text *body)
{
	size_t bytes = call->fault->bytes > 0 ? call->fault->bytes
					      : body->bytes < 64 ? 64 : body->bytes;

	text_clear(body);
	while (bytes-- > 0) {
		unsigned char noise = (unsigned char)dice_roll(&call->sim->world.dice);

		text_add(body, &noise, 1);
	}
}

/* A JSON object gets one more, long member; anything else a tail of blanks. */
static void render_huge(struct call *call, struct text *body)
{
	bool object = body->bytes > 1 && body->data[body->bytes - 1] == '}';

	if (object) {
		body->bytes--;
		text_addf(body, "%s\"Padding\":\"", body->bytes > 1 ? "," : "");
	}
	text_reserve(body, call->fault->bytes);
	memset(body->data + body->bytes, object ? 'x' : ' ', call->fault->bytes);
	body->bytes += call->fault->bytes;
	if (object)
		text_add_string(body, "\"}");
}

static void answer_spoil(struct call *call, struct http_answer *answer, struct text *body)
{
	switch (call->fault->kind) {
	case FAULT_HTML:
		render_html(call, answer, body);
		break;
	case FAULT_GARBAGE:
		render_garbage(call, body);
		break;
	case FAULT_HUGE:
		render_huge(call, body);
		break;
	case FAULT_CUT:
		body->bytes /= 2;
		break;
	case FAULT_TRUNCATE:
		answer->promised_bytes = body->bytes;
		answer->close = true;
		body->bytes /= 2;
		break;
	case FAULT_DRIP:
		answer->drip_bytes = call->fault->bytes;
		answer->drip_ms = call->fault->ms;
		break;
	default:
		break;
	}
	if (answer->status == 200 && call->fault->status != 0)
		answer->status = call->fault->status;
}

static const char *content_type(const struct call *call)
{
	if (call->protocol == CALL_QUERY)
		return "text/xml";
	if (call->protocol == CALL_PLAIN && json_is_string(call->out))
		return "text/plain";
	return call->service->json_type;
}

void call_answer(struct call *call)
{
	struct http_exchange *exchange = call->exchange;
	struct text *body = &call->sim->scratch;
	struct http_answer answer = { .status = 200 };
	struct text *headers = &call->sim->headers;

	text_clear(body);
	text_clear(headers);
	text_reserve(body, 1);
	if (call_fault_is(call, FAULT_WRONG_TYPES))
		answer_change_types(call);
	render_body(call, body);
	if (aws_error_is_set(&call->error))
		answer.status = error_status(call);
	render_headers(call, answer.status, headers);
	answer.headers = headers->data;
	answer.content_type = content_type(call);
	if (call->fault != NULL)
		answer_spoil(call, &answer, body);
	answer.body = body->data;
	answer.bytes = body->bytes;
	http_exchange_watch(exchange, NULL, NULL);
	http_exchange_answer(exchange, &answer);
}
