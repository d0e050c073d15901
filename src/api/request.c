/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - see request.h. */
#include "api/request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"

static void name_peer(struct request *request)
{
	const union MHD_ConnectionInfo *info;
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	char address[INET6_ADDRSTRLEN] = "";

	request->peer_uid = (uid_t)-1;
	if (request->listener->local) {
		info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
			request->peer_uid = credentials.uid;
		snprintf(request->peer, sizeof(request->peer), "uid %d", (int)request->peer_uid);
		return;
	}
	info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && info->client_addr != NULL && info->client_addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)info->client_addr)->sin_addr, address, sizeof(address));
	else if (info != NULL && info->client_addr != NULL && info->client_addr->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)info->client_addr)->sin6_addr, address, sizeof(address));
	snprintf(request->peer, sizeof(request->peer), "%s", address);
}

struct request *request_create(struct listener *listener, struct MHD_Connection *connection, const char *method,
	const char *path)
{
	struct request *request = xnew(struct request);

	request->listener = listener;
	request->connection = connection;
	request->method = xstrdup(method);
	request->path = xstrdup(path);
	request->began_s = clock_monotonic_s();
	random_id(request->id);
	buf_init(&request->body, listener->options.body_limit);
	name_peer(request);
	request->who = request->peer;
	list_append(&listener->requests, &request->link);
	return request;
}

static void write_access(const struct request *request)
{
	log_info(&request->listener->log, "%s %s %s by %s: %u in %.0f ms", request->id, request->method, request->path,
		request->who, request->status, (clock_monotonic_s() - request->began_s) * 1000);
}

void request_destroy(struct request *request)
{
	if (request == NULL)
		return;
	if (request->gone != NULL)
		request->gone(request);
	write_access(request);
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	list_remove(&request->link);
	buf_finish(&request->body);
	free(request->method);
	free(request->path);
	free(request->argument);
	free(request);
}

void request_add_body(struct request *request, const char *bytes, size_t size)
{
	buf_add(&request->body, bytes, size);
}

const char *request_query(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_query_number(struct request *request, const char *name, int64_t low, int64_t high, int64_t fallback,
	int64_t *value)
{
	const char *text = request_query(request, name);
	char *end;

	*value = fallback;
	if (text == NULL)
		return true;
	*value = strtoll(text, &end, 10);
	if (*text != '\0' && *end == '\0' && *value >= low && *value <= high)
		return true;
	request_answer_error(request, MHD_HTTP_BAD_REQUEST, "bad query", "%s: expected a number from %lld to %lld", name,
		(long long)low, (long long)high);
	return false;
}

/* -- answering -------------------------------------------------------------------------------- */

bool request_is_answered(const struct request *request)
{
	return request->response != NULL || request->sent;
}

void request_answer(struct request *request, unsigned status, struct MHD_Response *take_response)
{
	request->status = status;
	request->response = take_response;
	request->gone = NULL;
	request->listener->options.answered(request->listener->options.arg, request);
	MHD_add_response_header(take_response, "X-Request-Id", request->id);
	MHD_add_response_header(take_response, "X-Content-Type-Options", "nosniff");
	if (request->listener->quiet)
		MHD_add_response_header(take_response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->connection);
	listener_kick(request->listener);
}

void request_answer_text(struct request *request, unsigned status, const char *type, const char *bytes, size_t size)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, (void *)bytes, MHD_RESPMEM_MUST_COPY);

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	request_answer(request, status, response);
}

void request_answer_json(struct request *request, unsigned status, json_t *take_doc)
{
	char *text = json_at_dump(take_doc);

	request_answer_text(request, status, "application/json", text, strlen(text));
	json_decref(take_doc);
	free(text);
}

void request_answer_error(struct request *request, unsigned status, const char *error, const char *fmt, ...)
{
	char detail[LIMIT_ANSWER_DETAIL_BYTES];
	json_t *doc = json_object();
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	json_object_set_new(doc, "error", json_at_text(error));
	if (detail[0] != '\0')
		json_object_set_new(doc, "detail", json_at_text(detail));
	request_answer_json(request, status, doc);
}

enum MHD_Result request_send(struct request *request)
{
	enum MHD_Result result;

	if (request->response == NULL)
		return MHD_YES;
	result = MHD_queue_response(request->connection, request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	request->sent = true;
	return result;
}

void request_suspend(struct request *request)
{
	request->suspended = true;
	MHD_suspend_connection(request->connection);
}

void request_abandon(struct request *request)
{
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->connection);
}
