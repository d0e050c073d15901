/* SPDX-License-Identifier: Apache-2.0 */
/* child_start.c - makes a worker process: its heritage, its channel, its descriptors. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "master/child_impl.h"
#include "master/master.h"
#include "master/spawn.h"

enum {
	CHILD_CHANNEL_FD = HERITAGE_FD + 1,
	CHILD_CONFIG_FD,
	CHILD_LOG_FD,
};

static int write_heritage(struct child *child, bool first, struct error *err)
{
	const struct generation *generation = child->generation;
	const struct conf_supervisor *conf = &generation->edition->conf->supervisor;
	struct heritage heritage = {
		.role = ROLE_WORKER,
		.generation = generation->number,
		.slot = child->slot,
		.slots = (uint32_t)generation->slot_count,
		.channel_fd = CHILD_CHANNEL_FD,
		.config_fd = CHILD_CONFIG_FD,
		.log_fd = log_target_fd(&generation->edition->log) >= 0 ? CHILD_LOG_FD : -1,
		.first = first,
		.heartbeat_ms = (uint32_t)(conf->watchdog_ms / 3),
		.drain_timeout_ms = (uint32_t)conf->drain_timeout_ms,
		.config_hash = generation->edition->config_hash,
	};

	memcpy(heritage.owner, child->owner, sizeof(heritage.owner));
	return heritage_write(&heritage, err);
}

static pid_t fork_worker(struct child *child, int channel_fd, int heritage_fd, struct error *err)
{
	static char *const argv[] = { "gantry-worker", NULL };
	const struct edition *edition = child->generation->edition;
	int logs = log_target_fd(&edition->log);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct spawn how = {
		.program_fd = edition->worker_fd,
		.argv = argv,
		.environment = edition->environment,
		.become = &child->generation->master->identity,
		.fds = {
			[STDIN_FILENO] = null_fd, [STDOUT_FILENO] = null_fd,
			[STDERR_FILENO] = logs >= 0 ? logs : STDERR_FILENO,
			[HERITAGE_FD] = heritage_fd, [CHILD_CHANNEL_FD] = channel_fd,
			[CHILD_CONFIG_FD] = edition->config_fd, [CHILD_LOG_FD] = logs,
		},
		.fd_count = logs >= 0 ? CHILD_LOG_FD + 1 : CHILD_LOG_FD,
		.report_fd = CHILD_CHANNEL_FD,
	};
	pid_t pid = -1;

	if (null_fd < 0)
		error_set_errno(err, ERROR_TEMPORARY, "/dev/null");
	else
		pid = spawn(&how, err);
	descriptor_close(&null_fd);
	return pid;
}

struct child *child_start(struct generation *generation, unsigned slot, bool first, struct error *err)
{
	struct master *master = generation->master;
	struct child *child = child_alloc(generation, slot);
	int ends[2] = { -1, -1 };
	int heritage_fd;

	child->serial = roster_next_serial(&master->roster);
	roster_name_owner(&master->roster, child->serial, child->owner, sizeof(child->owner));
	heritage_fd = write_heritage(child, first, err);
	if (heritage_fd >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		error_set_errno(err, ERROR_TEMPORARY, "socketpair");
	else if (heritage_fd >= 0)
		child->pid = fork_worker(child, ends[1], heritage_fd, err);
	descriptor_close(&heritage_fd);
	descriptor_close(&ends[1]);
	child->channel_fd = ends[0];
	if (child->pid <= 0) {
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
