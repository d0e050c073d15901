/* SPDX-License-Identifier: Apache-2.0 */
/* process_remains.c - what is left of a command whose shim and guard were both killed.
 *
 * Its processes are known by their session, whose number is the shim's.  The kernel gives that number to
 * nobody else while one of them lives, so a living leader that is not the shim says that none does. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "exec/exec_process.h"

struct process_stat { long session; unsigned long long since; };

/* See proc(5): the name may hold anything, so what counts begins behind its last bracket. */
static bool read_stat(const char *pid, struct process_stat *stat)
{
	char *path = xasprintf("/proc/%s/stat", pid);
	char text[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	const char *at;

	descriptor_close(&fd);
	free(path);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	return at != NULL && sscanf(at, ") %*c %*d %*d %ld %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		"%llu", &stat->session, &stat->since) == 2;
}

unsigned long long process_start_time(pid_t pid)
{
	struct process_stat stat;
	char name[24];

	snprintf(name, sizeof(name), "%ld", (long)pid);
	return read_stat(name, &stat) ? stat.since : 0;
}

static void kill_cgroup(const char *cgroup)
{
	char *path = xasprintf("%s/cgroup.kill", cgroup);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && descriptor_write_all(fd, "1", 1))
		rmdir(cgroup);
	descriptor_close(&fd);
	free(path);
}

static void kill_session(pid_t session)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		struct process_stat stat;

		if (isdigit((unsigned char)entry->d_name[0]) && read_stat(entry->d_name, &stat) && stat.session == session)
			kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
	}
	if (proc != NULL)
		closedir(proc);
}

void process_remains_kill(const struct process_status *status)
{
	unsigned long long leader;

	if (status->session <= 1 || strcmp(status->boot, clock_boot_id()) != 0)
		return;
	if (status->cgroup[0] != '\0')
		kill_cgroup(status->cgroup);
	leader = process_start_time(status->session);
	if (leader == 0 || leader == status->since)
		kill_session(status->session);
}
