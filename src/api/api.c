/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - the life of the process, and who handles a request. */
#include "api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/auth.h"
#include "api/deploy_reader.h"
#include "api/depths.h"
#include "api/ecs_log.h"
#include "api/feed.h"
#include "api/listener.h"
#include "api/master_status.h"
#include "api/request.h"
#include "api/routes.h"
#include "api/submit.h"
#include "base/descriptor.h"
#include "base/mem.h"

enum { LIMIT_PEM_BYTES = 1 << 20 };
static const double head_s = 20;                /* for a whole request to arrive */
static const double warm_again_s = 0.05;
static const double idle_grace_s = 2;           /* draining: for a request that is on its way */

/* -- requests --------------------------------------------------------------------------------- */

/* Who asks is known before a byte of the body is read. */
static bool on_admit(void *arg, struct request *request)
{
	struct api *api = arg;

	return routes_find(request) && auth_admit(api->auth, request);
}

static void on_handle(void *arg, struct request *request)
{
	struct api *api = arg;

	api->answered++;
	request->route->answer(api, request);
}

static void on_answered(void *arg, struct request *request)
{
	api_figures_count(arg, request);
}

static void check_drained(struct api *api)
{
	size_t open = 0;

	if (api->state != API_DRAINING)
		return;
	for (size_t i = 0; i < api->listener_count; i++)
		open += api->listeners[i]->peer_count;
	if (open == 0)
		api_leave(api, EXIT_SUCCESS);
}

static void on_idle(void *arg)
{
	check_drained(arg);
}

/* -- accepting -------------------------------------------------------------------------------- */

static bool listen_on(struct api *api, int fd, struct error *err)
{
	const struct conf_api *conf = api->conf->api;
	struct listener_options options = {
		.loop = api->loop, .log = &api->log, .fd = fd, .connections = conf->connections,
		.idle_s = (double)conf->idle_timeout_ms / 1000, .head_s = head_s, .body_limit = (size_t)conf->body_limit_bytes,
		.certificate = api->certificate, .key = api->key,
		.admit = on_admit, .handle = on_handle, .answered = on_answered, .idle = on_idle, .arg = api,
	};

	api->listeners[api->listener_count] = listener_create(&options, err);
	if (api->listeners[api->listener_count] == NULL)
		return false;
	api->listener_count++;
	return true;
}

void api_go(struct api *api)
{
	struct error err;

	if (api->state != API_PARKED)
		return;
	api->state = API_ACTIVE;
	for (size_t i = 0; i < HERITAGE_LISTENERS && api->heritage.listener_fds[i] >= 0; i++) {
		if (!listen_on(api, api->heritage.listener_fds[i], &err)) {
			log_error(&api->log, "%s", err.text);
			api_leave(api, EXIT_FAILURE);
			return;
		}
	}
	log_info(&api->log, "answers on %zu sockets", api->listener_count);
}

/* -- leaving ---------------------------------------------------------------------------------- */

void api_leave(struct api *api, int status)
{
	api->exit_status = status;
	ev_break(api->loop, EVBREAK_ALL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	api_leave(container_of(timer, struct api, deadline), EXIT_SUCCESS);
}

static void on_close_idle(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct api *api = container_of(timer, struct api, close_idle);

	(void)loop, (void)revents;
	for (size_t i = 0; i < api->listener_count; i++)
		listener_close_idle(api->listeners[i]);
}

void api_drain(struct api *api, int64_t deadline_ms, const char *why)
{
	double left_s = deadline_ms > 0 ? (double)deadline_ms / 1000 : 0.;

	if (api->state < API_ACTIVE) {
		api_leave(api, EXIT_SUCCESS);
		return;
	}
	if (api->state == API_DRAINING)
		return;
	log_info(&api->log, "accepts no more (%s)", why);
	api->state = API_DRAINING;
	for (size_t i = 0; i < api->listener_count; i++)
		listener_quiesce(api->listeners[i]);
	events_end(api);
	feed_end(api->feed);
	ev_timer_set(&api->deadline, left_s, 0.);
	ev_timer_start(api->loop, &api->deadline);
	ev_timer_set(&api->close_idle, left_s < idle_grace_s ? left_s / 2 : idle_grace_s, idle_grace_s);
	ev_timer_start(api->loop, &api->close_idle);
	check_drained(api);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int revents)
{
	struct api *api = signal->data;

	(void)loop, (void)revents;
	if (signal->signum == SIGQUIT)
		api_leave(api, EXIT_SUCCESS);
	else
		api_drain(api, api->heritage.drain_timeout_ms, "SIGTERM");
}

static void start_signal(struct api *api, ev_signal *watcher, int signal)
{
	ev_signal_init(watcher, on_signal, signal);
	watcher->data = api;
	ev_signal_start(api->loop, watcher);
	ev_unref(api->loop);
}

/* -- warming up ------------------------------------------------------------------------------- */

static void refuse(struct api *api, const struct error *err)
{
	log_error(&api->log, "cannot become ready: %s", err->text);
	api_channel_send(api, REPORT_REFUSED, err->text);
	api_leave(api, 2);
}

static char *read_pem(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	if (fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "%s", path);
		return NULL;
	}
	text = descriptor_read_all(fd, LIMIT_PEM_BYTES, NULL, err);
	close(fd);
	return text;
}

static bool read_tls(struct api *api, struct error *err)
{
	const struct conf_tls *tls = &api->conf->api->tls;

	if (tls->certificate == NULL)
		return true;
	api->certificate = read_pem(tls->certificate, err);
	api->key = api->certificate != NULL ? read_pem(tls->key, err) : NULL;
	/* Listeners come with GO, when a bad pair could refuse no reload any more. */
	return api->key != NULL && listener_check_tls(api->certificate, api->key, err);
}

static void warm_up(struct api *api)
{
	struct store_options options = {
		.loop = api->loop, .log = &api->log, .owner = api->heritage.owner,
		.lease_ms = (unsigned)api->conf->supervisor.lease_ms,
	};
	struct error err;

	api->store = store_open(api->conf->store, &options, &err);
	if (api->store != NULL) {
		api->state = API_PARKED;
		api_channel_send(api, REPORT_READY, "");
	} else if (error_may_pass(err.kind)) {
		/* A worker makes or migrates it at the same time. */
		ev_timer_set(&api->warm_again, warm_again_s, 0.);
		ev_timer_start(api->loop, &api->warm_again);
	} else {
		refuse(api, &err);
	}
}

static void on_warm_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	warm_up(container_of(timer, struct api, warm_again));
}

/* -- life ------------------------------------------------------------------------------------- */

struct api *api_create(const struct heritage *heritage, struct conf *take_conf)
{
	struct api *api = xnew(struct api);

	api->heritage = *heritage;
	api->conf = take_conf;
	api->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (api->loop == NULL)
		fatal("no event loop could be made");
	log_init(&api->log, NULL, "api %d generation %u", (int)getpid(), heritage->generation);
	api_figures_init(api);
	ev_timer_init(&api->warm_again, on_warm_again, 0., 0.);
	ev_timer_init(&api->deadline, on_deadline, 0., 0.);
	ev_timer_init(&api->close_idle, on_close_idle, 0., 0.);
	start_signal(api, &api->on_term, SIGTERM);
	start_signal(api, &api->on_quit, SIGQUIT);
	api_channel_start(api);
	return api;
}

static struct ecs_logs *open_task_logs(struct api *api, struct error *err)
{
	const struct ecs_logs_options options = {
		.loop = api->loop, .log = &api->log, .aws = &api->conf->aws, .directory = api->conf->supervisor.state_dir,
	};

	return ecs_logs_create(&options, err);
}

int api_run(struct api *api)
{
	struct error err;

	if (api->conf->api == NULL)
		fatal("the configuration has no section api");
	if (!read_tls(api, &err)) {
		refuse(api, &err);
		return api->exit_status;
	}
	api->readers = deploy_readers_create(api->conf->supervisor.state_dir);
	api->feed = feed_create(api);
	api->master = master_status_create(api, "status");
	api->master_figures = master_status_create(api, "status figures=1");
	api->auth = auth_create(api->conf->api);
	api->submitter = submitter_create(api, &err);
	api->task_logs = api->submitter != NULL ? open_task_logs(api, &err) : NULL;
	if (api->task_logs == NULL) {
		refuse(api, &err);
		return api->exit_status;
	}
	api_figures_watch(api, ecs_logs_aws(api->task_logs));
	api->depths = depths_create(api, submitter_queues(api->submitter));
	warm_up(api);
	ev_run(api->loop, 0);
	return api->exit_status;
}

void api_destroy(struct api *api)
{
	size_t listener_count;

	if (api == NULL)
		return;
	api->state = API_DRAINING;
	events_end(api);
	feed_end(api->feed);
	/* What ends while one of them is destroyed must find none that is gone. */
	listener_count = api->listener_count;
	api->listener_count = 0;
	for (size_t i = 0; i < listener_count; i++)
		listener_destroy(api->listeners[i]);
	api_channel_stop(api);
	ev_timer_stop(api->loop, &api->warm_again);
	ev_timer_stop(api->loop, &api->deadline);
	ev_timer_stop(api->loop, &api->close_idle);
	ev_ref(api->loop);
	ev_signal_stop(api->loop, &api->on_term);
	ev_ref(api->loop);
	ev_signal_stop(api->loop, &api->on_quit);
	master_status_destroy(api->master);
	master_status_destroy(api->master_figures);
	store_close(api->store);
	ecs_logs_destroy(api->task_logs);
	submitter_destroy(api->submitter);
	depths_destroy(api->depths);
	auth_destroy(api->auth);
	deploy_readers_destroy(api->readers);
	feed_destroy(api->feed);
	table_finish(&api->follows);
	free(api->certificate);
	xfree_secret(api->key);
	conf_destroy(api->conf);
	ev_loop_destroy(api->loop);
	api_figures_finish(api);
	free(api);
}
