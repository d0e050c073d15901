/* SPDX-License-Identifier: Apache-2.0 */
/* shim_record.c - what a shim writes down, in an order that a crash at any point leaves readable.
 *
 * The lock says that somebody is at it, and is only ever held by a living process.  Under it "started"
 * decides: a shim that finds it does nothing, so a token's command runs once at most.  The file for
 * the result is made, and its room taken, before the command runs: a disk that has filled up
 * meanwhile must not lose an exit status. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/shim.h"

enum { EXIT_TRIES = 6, EXIT_PAUSE_MS = 1000 };

static bool write_whole(int fd, const char *bytes, size_t size, off_t at)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, bytes, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool exists(int directory_fd, const char *name)
{
	return faccessat(directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static enum shim_claim failed(char *text, const char *what)
{
	snprintf(text, LIMIT_SHIM_TEXT_BYTES, "%s: %s", what, strerror(errno));
	return SHIM_FAILED;
}

/* Room for the result, filled with blanks so that it is really there. */
static int reserve_exit(int directory_fd)
{
	char blanks[LIMIT_PROCESS_RECORD_BYTES];
	int fd = openat(directory_fd, PROCESS_EXIT_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	memset(blanks, ' ', sizeof(blanks));
	if (fd >= 0 && (!write_whole(fd, blanks, sizeof(blanks), 0) || fsync(fd) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

enum shim_claim shim_claim(struct shim *shim, char text[LIMIT_SHIM_TEXT_BYTES])
{
	char pid[32];
	int len;

	shim->directory_fd = open(shim->request.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (shim->directory_fd < 0)
		return failed(text, shim->request.directory);
	shim->lock_fd = openat(shim->directory_fd, PROCESS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (shim->lock_fd < 0)
		return failed(text, PROCESS_LOCK);
	if (!lock(shim->lock_fd))
		return errno == EAGAIN || errno == EACCES ? SHIM_TAKEN : failed(text, PROCESS_LOCK);
	if (exists(shim->directory_fd, PROCESS_VOID))
		return SHIM_VOID;
	if (exists(shim->directory_fd, PROCESS_STARTED))
		return SHIM_AGAIN;
	len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (!write_whole(shim->lock_fd, pid, (size_t)len, 0))
		return failed(text, PROCESS_LOCK);
	shim->exit_fd = reserve_exit(shim->directory_fd);
	return shim->exit_fd >= 0 ? SHIM_CLAIMED : failed(text, PROCESS_EXIT_NEW);
}

/* The 22nd field of /proc/PID/stat: with it a pid names one process of a boot. */
static unsigned long long start_time(void)
{
	char stat[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, stat, sizeof(stat) - 1) : -1;
	unsigned long long ticks = 0;
	const char *at;

	if (fd >= 0)
		close(fd);
	stat[n > 0 ? n : 0] = '\0';
	at = strrchr(stat, ')');
	if (at != NULL)
		sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks);
	return ticks;
}

/* The directory of all jobs too: what names a durable file must be durable itself. */
static bool sync_directories(int directory_fd)
{
	int parent_fd = openat(directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fsync(directory_fd) == 0 && parent_fd >= 0 && fsync(parent_fd) == 0;

	if (parent_fd >= 0)
		close(parent_fd);
	return ok;
}

bool shim_record_started(struct shim *shim, char text[LIMIT_SHIM_TEXT_BYTES])
{
	static const char fresh[] = PROCESS_STARTED ".new";
	char record[LIMIT_PROCESS_RECORD_BYTES], boot[64];
	int fd, len;
	bool ok;

	shim_boot_id(boot);
	shim->exit.started_ms = shim_wall_ms();
	len = snprintf(record, sizeof(record),
		"version 1\njob %.256s\nboot %s\nshim %ld\nsince %llu\nsession %ld\ntime %lld\n%s%.2048s%send\n",
		shim->request.job != NULL ? shim->request.job : "", boot, (long)getpid(), start_time(), (long)getsid(0),
		(long long)shim->exit.started_ms, shim->cgroup_fd >= 0 ? "cgroup " : "",
		shim->cgroup_fd >= 0 ? shim->request.cgroup : "", shim->cgroup_fd >= 0 ? "\n" : "");
	fd = openat(shim->directory_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ok = fd >= 0 && write_whole(fd, record, (size_t)len, 0) && fsync(fd) == 0 &&
		renameat(shim->directory_fd, fresh, shim->directory_fd, PROCESS_STARTED) == 0 &&
		sync_directories(shim->directory_fd);
	if (!ok) {
		snprintf(text, LIMIT_SHIM_TEXT_BYTES, "%s: %s", PROCESS_STARTED, strerror(errno));
		/* Nothing runs, so nothing may say that it does. */
		unlinkat(shim->directory_fd, fresh, 0);
		unlinkat(shim->directory_fd, PROCESS_STARTED, 0);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static int64_t usec(const struct timeval *time)
{
	return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

/* One line whatever it says. */
static void flatten(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
	}
}

static int format_exit(const struct shim_exit *ended, char record[LIMIT_PROCESS_RECORD_BYTES])
{
	char boot[64];

	shim_boot_id(boot);
	return snprintf(record, LIMIT_PROCESS_RECORD_BYTES,
		"version 1\nboot %s\nhow %s\ncode %d\nsignal %d\nstep %zu\nstopped %d\nstopped_by %ld\nkilled %d\n"
		"started_ms %lld\nended_ms %lld\nuser_us %lld\nsystem_us %lld\nmax_rss_kb %ld\ntext %s\nend\n",
		boot, ended->how, ended->code, ended->signal, ended->step, ended->stopped, (long)ended->stopped_by,
		ended->killed, (long long)ended->started_ms, (long long)ended->ended_ms,
		(long long)usec(&ended->usage.ru_utime), (long long)usec(&ended->usage.ru_stime), ended->usage.ru_maxrss,
		ended->text);
}

static bool write_exit(const struct shim *shim, const char *record, size_t size)
{
	return write_whole(shim->exit_fd, record, size, 0) && ftruncate(shim->exit_fd, (off_t)size) == 0 &&
		fsync(shim->exit_fd) == 0 &&
		renameat(shim->directory_fd, PROCESS_EXIT_NEW, shim->directory_fd, PROCESS_EXIT) == 0 &&
		fsync(shim->directory_fd) == 0;
}

void shim_record_exit(struct shim *shim)
{
	char record[LIMIT_PROCESS_RECORD_BYTES], lost[128];
	int len;

	flatten(shim->exit.text);
	len = format_exit(&shim->exit, record);
	for (int i = 0; i < EXIT_TRIES; i++) {
		if (write_exit(shim, record, (size_t)len))
			return;
		if (i + 1 < EXIT_TRIES)
			poll(NULL, 0, EXIT_PAUSE_MS);
	}
	/* A short link lies in its inode, for which a full disk often has room. */
	snprintf(lost, sizeof(lost), "%s code %d signal %d stopped %d errno %d", shim->exit.how, shim->exit.code,
		shim->exit.signal, shim->exit.stopped, errno);
	if (symlinkat(lost, shim->directory_fd, PROCESS_EXIT_LOST) == 0)
		fsync(shim->directory_fd);
}
