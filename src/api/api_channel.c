/* SPDX-License-Identifier: Apache-2.0 */
/* api_channel.c - the api's end of the channel to the master. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "base/descriptor.h"

static const double hint_linger_s = 0.005;

void api_channel_send(struct api *api, enum report_kind kind, const char *text)
{
	struct report report = { 0 };

	report_init(&report, kind, api->heritage.generation);
	report.config_hash = api->heritage.config_hash;
	report.sequence = ++api->report_sequence;
	snprintf(report.text, sizeof(report.text), "%s", text);
	report_send(api->heritage.channel_fd, &report, -1);
}

static void say_alive(struct api *api)
{
	struct report report = { 0 };
	struct store_figures figures = { 0 };

	api_figures_copy(api);
	report_init(&report, REPORT_ALIVE, api->heritage.generation);
	if (api->store != NULL)
		store_figures(api->store, &figures);
	report.sequence = ++api->report_sequence;
	report.worker = (struct report_worker){
		.jobs_done = api->answered,
		.log_dropped = (uint32_t)log_dropped(),
		.longest_commit_us = (uint32_t)(figures.longest_commit_s * 1e6),
	};
	report_send(api->heritage.channel_fd, &report, -1);
	/* A READY that did not fit into the channel is said again. */
	if (api->state == API_PARKED)
		api_channel_send(api, REPORT_READY, api->degraded);
}

static void send_hint(struct api *api, enum api_hint what)
{
	struct report report = { 0 };

	report_init(&report, REPORT_HINT, api->heritage.generation);
	report.sequence = ++api->report_sequence;
	if (what == API_HINT_JOBS)
		snprintf(report.name, sizeof(report.name), "%s", REPORT_HINT_JOBS);
	report_send(api->heritage.channel_fd, &report, -1);
}

/* The first of several is passed on at once, the rest together. */
static void pass_hint(struct api *api, enum api_hint what)
{
	api->hint_next = API_HINT_NONE;
	send_hint(api, what);
	ev_now_update(api->loop);
	ev_timer_set(&api->hint, hint_linger_s, 0.);
	ev_timer_start(api->loop, &api->hint);
}

static void on_hint(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct api *api = container_of(timer, struct api, hint);

	(void)loop, (void)revents;
	if (api->hint_next != API_HINT_NONE)
		pass_hint(api, api->hint_next);
}

void api_hint(struct api *api, enum api_hint what)
{
	if (!ev_is_active(&api->hint))
		pass_hint(api, what);
	else if (what > api->hint_next)
		api->hint_next = what;
}

static void reopen_log(const struct api *api, int fd)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_LOGFMT;
	int old = log_fd();

	if (fd < 0)
		return;
	log_level_parse(api->conf->log.level, &level);
	log_format_parse(api->conf->log.format, &format);
	log_open_fd(fd, format, level);
	if (old > STDERR_FILENO)
		close(old);
}

static void obey(struct api *api, const struct report *report, int passed_fd)
{
	switch ((enum report_kind)report->kind) {
	case REPORT_GO:
		api_go(api);
		break;
	case REPORT_DRAIN:
		api_drain(api, report->deadline_ms, report->text[0] != '\0' ? report->text : "told to drain");
		break;
	case REPORT_RELEASE:
	case REPORT_EXIT:
		api_leave(api, EXIT_SUCCESS);
		break;
	case REPORT_REOPEN:
		reopen_log(api, passed_fd);
		break;
	case REPORT_PING:
		say_alive(api);
		break;
	default:
		break;
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct api *api = container_of(io, struct api, channel);
	struct report report;
	int passed_fd = -1;

	(void)revents;
	switch (report_receive(io->fd, &report, &passed_fd)) {
	case REPORT_READ_ONE:
		obey(api, &report, passed_fd);
		if (passed_fd >= 0 && report.kind != REPORT_REOPEN)
			close(passed_fd);
		break;
	case REPORT_READ_NONE:
		break;
	case REPORT_READ_BAD:
		log_warn(&api->log, "a report of the master was not understood");
		break;
	case REPORT_READ_EOF:
		ev_io_stop(loop, io);
		api_drain(api, api->heritage.drain_timeout_ms, "the master is gone");
		break;
	}
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	say_alive(container_of(timer, struct api, heartbeat));
}

void api_channel_start(struct api *api)
{
	double period_s = (double)api->heritage.heartbeat_ms / 1000;

	descriptor_set_nonblocking(api->heritage.channel_fd, true);
	ev_timer_init(&api->hint, on_hint, 0., 0.);
	ev_io_init(&api->channel, on_readable, api->heritage.channel_fd, EV_READ);
	ev_io_start(api->loop, &api->channel);
	ev_timer_init(&api->heartbeat, on_heartbeat, period_s, period_s);
	if (period_s > 0)
		ev_timer_start(api->loop, &api->heartbeat);
	api_channel_send(api, REPORT_HELLO, "");
}

void api_channel_stop(struct api *api)
{
	ev_io_stop(api->loop, &api->channel);
	ev_timer_stop(api->loop, &api->heartbeat);
	if (api->hint_next != API_HINT_NONE)
		send_hint(api, api->hint_next);
	ev_timer_stop(api->loop, &api->hint);
	api_figures_copy(api);
}
