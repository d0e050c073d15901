/* SPDX-License-Identifier: Apache-2.0 */
/* api_figures.c - what this process counts for GET /metrics, in the page it shares with the master
 * (ipc/figures.h). */
#include <stdio.h>
#include <unistd.h>

#include "api/api.h"
#include "api/request.h"
#include "api/routes.h"
#include "aws/aws.h"
#include "base/clock.h"

void api_figures_init(struct api *api)
{
	struct error err;

	if (api->heritage.figures_fd < 0)
		return;
	api->figures = figures_map(api->heritage.figures_fd, &err);
	if (api->figures == NULL)
		log_warn(&api->log, "%s; nothing is counted", err.text);
	close(api->heritage.figures_fd);
	api->heritage.figures_fd = -1;
	api_figures_copy(api);
}

void api_figures_finish(struct api *api)
{
	figures_unmap(api->figures);
	api->figures = NULL;
}

static void on_outcome(void *arg, enum aws_service service, const char *action, enum aws_outcome outcome, bool retry)
{
	struct api *api = arg;

	figures_count_aws(api->figures, aws_service_name(service), action, (unsigned)outcome, retry);
}

void api_figures_watch(struct api *api, struct aws *aws)
{
	aws_watch(aws, on_outcome, api);
}

void api_figures_copy(struct api *api)
{
	struct figures_row *row = figures_row(api->figures, FIGURES_PROCESS, role_name(ROLE_API));
	struct store_figures figures = { 0 };

	if (api->store != NULL)
		store_figures(api->store, &figures);
	figures_set(row, FIGURES_LOG_DROPPED, log_dropped());
	figures_set(row, FIGURES_COMMITS, figures.commits);
	figures_set(row, FIGURES_WRITES, figures.writes);
	figures_set(row, FIGURES_BUSY, figures.busy);
}

/* Paths that no route has are all one, and so are methods: whoever asks must not make rows. */
static void name_route(const struct route *route, char *name, size_t size)
{
	if (route == NULL)
		snprintf(name, size, "none");
	else
		snprintf(name, size, "%s %s%s%s", route->method, route->before, route->after != NULL ? "ID" : "",
			route->after != NULL ? route->after : "");
}

void api_figures_count(struct api *api, const struct request *request)
{
	char name[FIGURES_NAME_BYTES];
	unsigned at = 0;

	if (api->figures == NULL)
		return;
	name_route(request->route, name, sizeof(name));
	while (at < FIGURES_CODES && figures_codes[at] != request->status)
		at++;
	figures_add(figures_row(api->figures, FIGURES_ROUTE, name), at, 1);
	figures_observe(figures_row(api->figures, FIGURES_ROUTE_TIME, name), clock_monotonic_s() - request->began_s);
}
