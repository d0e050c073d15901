/* SPDX-License-Identifier: Apache-2.0 */
/* child_start.c - makes a worker or API process: its heritage, its channel, its descriptors. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "conf/conf_schema.h"
#include "master/child_impl.h"
#include "master/master.h"
#include "master/spawn.h"

_Static_assert((int)LIMIT_CONF_LISTENERS <= (int)HERITAGE_LISTENERS, "a child gets every listener");

static void hand_listeners(const struct child *child, struct spawn *how, struct heritage *heritage)
{
	const struct conf_api *api = child->generation->edition->conf->api;
	size_t count = 0;

	for (size_t i = 0; child->role == ROLE_API && i < api->listen.count; i++) {
		int fd = listeners_find(&child->generation->master->listeners, api->listen.at[i]);

		if (fd >= 0)
			heritage->listener_fds[count++] = spawn_hand(how, fd);
	}
	if (count < HERITAGE_LISTENERS)
		heritage->listener_fds[count] = -1;
}

/* Gives the child its descriptors and says in heritage which number each has there. */
static void hand_all(const struct child *child, int channel_fd, struct spawn *how, struct heritage *heritage)
{
	const struct edition *edition = child->generation->edition;

	heritage->channel_fd = how->report_fd = spawn_hand(how, channel_fd);
	heritage->config_fd = spawn_hand(how, edition->config_fd);
	heritage->log_fd = spawn_hand(how, log_target_fd(&edition->log));
	heritage->in_hand_fd = spawn_hand(how, child->in_hand_fd);
	heritage->figures_fd = spawn_hand(how, child->figures_fd);
	heritage->shim_fd = child->role == ROLE_WORKER ? spawn_hand(how, edition->shim_fd) : -1;
	hand_listeners(child, how, heritage);
}

/* A third of the watchdog's time, so that two may fail.  It also carries the figures that people look at, with a
 * patient watchdog or none, too. */
static uint32_t heartbeat_ms(const struct conf_supervisor *conf)
{
	if (conf->watchdog_ms <= 0 || conf->watchdog_ms > 3 * CHILD_HEARTBEAT_MAX_MS)
		return CHILD_HEARTBEAT_MAX_MS;
	return (uint32_t)(conf->watchdog_ms / 3);
}

static struct heritage describe(const struct child *child, bool first)
{
	const struct generation *generation = child->generation;
	const struct conf_supervisor *conf = &generation->edition->conf->supervisor;
	struct heritage heritage = {
		.role = child->role,
		.generation = generation->number,
		.slot = child->slot,
		.slots = (uint32_t)generation->slot_count,
		.first = first,
		.heartbeat_ms = heartbeat_ms(conf),
		.drain_timeout_ms = (uint32_t)conf->drain_timeout_ms,
		.config_hash = generation->edition->config_hash,
	};

	memcpy(heritage.owner, child->owner, sizeof(heritage.owner));
	return heritage;
}

/* Only the first workers of a generation come from its nursery.  One that takes the place of another shall have a
 * memory of its own layout: who has brought a worker down has learnt nothing for the next. */
static pid_t start(const struct child *child, const struct spawn *how, struct error *err)
{
	struct nurse *nurse = &child->generation->master->reload.nurse;
	pid_t pid = 0;

	if (child->role == ROLE_WORKER && child->generation->state == GENERATION_PREPARING &&
	    !nurse_make(nurse, how, &pid, err))
		return -1;
	if (pid == 0)
		return spawn(how, err);
	log_debug(&child->generation->log, "worker %d comes from the nursery", (int)pid);
	return pid;
}

static pid_t fork_child(const struct child *child, int channel_fd, int null_fd, bool first, struct error *err)
{
	static char *const worker[] = { "gantry-worker", NULL }, *const api[] = { "gantry-api", NULL };
	const struct edition *edition = child->generation->edition;
	struct heritage heritage = describe(child, first);
	int logs = log_target_fd(&edition->log);
	struct spawn how = {
		.program_fd = child->role == ROLE_API ? edition->api_fd : edition->worker_fd,
		.argv = child->role == ROLE_API ? api : worker,
		.environment = edition->environment,
		.become = &child->generation->master->identity,
		.fds = {
			[STDIN_FILENO] = null_fd, [STDOUT_FILENO] = null_fd,
			[STDERR_FILENO] = logs >= 0 ? logs : STDERR_FILENO,
		},
		.fd_count = HERITAGE_FD + 1,
	};
	pid_t pid = -1;

	hand_all(child, channel_fd, &how, &heritage);
	how.fds[HERITAGE_FD] = heritage_write(&heritage, err);
	if (how.fds[HERITAGE_FD] >= 0)
		pid = start(child, &how, err);
	descriptor_close(&how.fds[HERITAGE_FD]);
	return pid;
}

static bool open_in_hand(struct child *child, struct error *err)
{
	if (child->role != ROLE_WORKER)
		return true;
	child->in_hand_fd = in_hand_create(err);
	if (child->in_hand_fd >= 0)
		child->in_hand = in_hand_map(child->in_hand_fd, err);
	return child->in_hand != NULL;
}

static bool open_figures(struct child *child, struct error *err)
{
	child->figures_fd = figures_create(err);
	if (child->figures_fd >= 0)
		child->figures = figures_map(child->figures_fd, err);
	return child->figures != NULL;
}

static bool launch(struct child *child, bool first, struct error *err)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2] = { -1, -1 };

	if (null_fd < 0)
		error_set_errno(err, ERROR_TEMPORARY, "/dev/null");
	else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		error_set_errno(err, ERROR_TEMPORARY, "socketpair");
	else if (open_in_hand(child, err) && open_figures(child, err))
		child->pid = fork_child(child, ends[1], null_fd, first, err);
	descriptor_close(&null_fd);
	descriptor_close(&ends[1]);
	child->channel_fd = ends[0];
	return child->pid > 0;
}

struct child *child_start(struct generation *generation, enum role role, unsigned slot, bool first,
	struct error *err)
{
	struct master *master = generation->master;
	struct child *child = child_alloc(generation, role, slot);

	child->serial = roster_next_serial(&master->roster);
	roster_name_owner(&master->roster, child->serial, child->owner, sizeof(child->owner));
	if (!launch(child, first, err)) {
		child->pid = 0;
		child_destroy(child);
		return NULL;
	}
	child->started_at = child->heard_at = clock_monotonic_s();
	child_watch_channel(child);
	child_wait_for(child, CHILD_WAIT_READY, (double)generation->edition->conf->supervisor.ready_timeout_ms / 1000);
	log_debug(&child->log, "started as %s", child->owner);
	return child;
}
