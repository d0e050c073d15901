/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the table of calls; gantry-api(8) and openapi.json describe each. */
#include "api/routes.h"

#include <stdio.h>
#include <string.h>

#include "api/feed.h"
#include "base/mem.h"

/* Of two that match the first one is taken. */
static const struct route routes[] = {
	{ "POST", "/v1/jobs", NULL, SCOPE_SUBMIT, false, answer_submit },
	{ "GET", "/v1/jobs", NULL, SCOPE_READ, false, answer_jobs },
	{ "GET", "/v1/jobs/", "/why", SCOPE_READ, false, answer_why },
	{ "GET", "/v1/jobs/", "/log", SCOPE_READ, false, answer_log },
	{ "GET", "/v1/jobs/", "/result", SCOPE_READ, false, answer_result },
	{ "GET", "/v1/jobs/", "/events", SCOPE_READ, false, answer_events },
	{ "POST", "/v1/jobs/", "/retry", SCOPE_ADMIN, false, answer_retry },
	{ "GET", "/v1/jobs/", "", SCOPE_READ, false, answer_job },
	{ "DELETE", "/v1/jobs/", "", SCOPE_ADMIN, false, answer_cancel },
	{ "GET", "/v1/locks", NULL, SCOPE_READ, false, answer_locks },
	{ "DELETE", "/v1/locks/", "", SCOPE_ADMIN, false, answer_unlock },
	{ "POST", "/deploy", NULL, SCOPE_SUBMIT, true, answer_deploy },
	{ "GET", "/status/", "", SCOPE_READ, true, answer_status },
	{ "GET", "/queue/status", NULL, SCOPE_READ, true, answer_queue_status },
	{ "GET", "/v1/queues", NULL, SCOPE_READ, false, answer_queues },
	{ "GET", "/v1/workers", NULL, SCOPE_READ, false, answer_workers },
	{ "GET", "/v1/events", NULL, SCOPE_READ, false, answer_feed },
	{ "GET", "/v1/access", NULL, SCOPE_SUBMIT | SCOPE_READ | SCOPE_ADMIN, false, answer_access },
	{ "GET", "/v1/openapi.json", NULL, SCOPE_NONE, false, answer_openapi },
	{ "GET", "/metrics", NULL, SCOPE_READ, false, answer_metrics },
	{ "GET", "/", NULL, SCOPE_NONE, false, answer_dashboard },
	{ "GET", "/healthz", NULL, SCOPE_NONE, false, answer_healthz },
	{ "GET", "/readyz", NULL, SCOPE_NONE, false, answer_readyz },
};

enum { ROUTE_COUNT = sizeof(routes) / sizeof(*routes) };

static bool matches(const struct route *route, const char *path, const char **argument, size_t *argument_bytes)
{
	size_t before = strlen(route->before), size = strlen(path), after;

	*argument = NULL;
	*argument_bytes = 0;
	if (route->after == NULL)
		return strcmp(path, route->before) == 0;
	after = strlen(route->after);
	if (size <= before + after || strncmp(path, route->before, before) != 0 ||
		strcmp(path + size - after, route->after) != 0)
		return false;
	*argument = path + before;
	*argument_bytes = size - before - after;
	return true;
}

/* HEAD is GET without the body, which MHD leaves out by itself. */
static bool same_method(const struct route *route, const char *method)
{
	return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

static void refuse(struct request *request, const char *allow)
{
	if (allow[0] == '\0') {
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "no call has this path");
		return;
	}
	request_answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed", "this path takes %s", allow);
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_ALLOW, allow);
}

bool routes_find(struct request *request)
{
	char allow[64] = "";

	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const char *argument;
		size_t bytes, used = strlen(allow);

		if (!matches(&routes[i], request->path, &argument, &bytes))
			continue;
		if (same_method(&routes[i], request->method)) {
			request->route = &routes[i];
			request->argument = argument != NULL ? xstrndup(argument, bytes) : NULL;
			return true;
		}
		snprintf(allow + used, sizeof(allow) - used, "%s%s", used > 0 ? ", " : "", routes[i].method);
	}
	refuse(request, allow);
	return false;
}
