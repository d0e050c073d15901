/* SPDX-License-Identifier: Apache-2.0 */
/* shim_log.c - one pipe from both outputs of the command, one file behind it.
 *
 * The command does not write to the file itself: nobody could then hold it to a limit, and a full disk
 * would fail its writes.  What cannot be kept is read all the same, so that the command goes on, and
 * the file says what it lacks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/shim.h"

enum { READ_BYTES = 32 << 10, NOTE_BYTES = 256, ROUNDS = 64 };

bool shim_log_open(struct shim_log *log, int directory_fd, int64_t limit)
{
	int ends[2];

	log->limit = limit;
	log->file = openat(directory_fd, PROCESS_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->file < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	log->read_end = ends[0];
	log->write_end = ends[1];
	return fcntl(log->read_end, F_SETFL, O_NONBLOCK) == 0;
}

/* How many of them are in the file now. */
static size_t write_some(struct shim_log *log, const char *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(log->file, bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log->error = errno;
			break;
		}
		done += (size_t)n;
	}
	log->size += (int64_t)done;
	return done;
}

/* False when there is no room for it either. */
static bool note_dropped(struct shim_log *log)
{
	char note[NOTE_BYTES];
	int len;

	if (log->dropped == 0)
		return true;
	len = snprintf(note, sizeof(note), "\n[gantry: %lld bytes are missing here: %s]\n", (long long)log->dropped,
		strerror(log->error));
	if (write_some(log, note, (size_t)len) == 0)
		return false;
	log->dropped = 0;
	return true;
}

static void note_full(struct shim_log *log)
{
	char note[NOTE_BYTES];
	int len = snprintf(note, sizeof(note),
		"\n[gantry: the log ends here, at its limit of %lld bytes; the command goes on]\n", (long long)log->limit);

	log->full = true;
	write_some(log, note, (size_t)len);
}

static void keep(struct shim_log *log, const char *bytes, size_t size)
{
	size_t room, done = 0;

	if (log->full)
		return;
	room = log->limit > log->size ? (size_t)(log->limit - log->size) : 0;
	if (note_dropped(log))
		done = write_some(log, bytes, size < room ? size : room);
	if (done < size && size <= room)
		log->dropped += (int64_t)(size - done);
	else if (done < size)
		note_full(log);
}

void shim_log_drain(struct shim_log *log)
{
	static char bytes[READ_BYTES];

	/* Not without end: a command that writes faster than the disk must not keep us from its end. */
	for (int i = 0; i < ROUNDS && log->read_end >= 0; i++) {
		ssize_t n = read(log->read_end, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		keep(log, bytes, (size_t)n);
	}
}

void shim_log_line(struct shim_log *log, const char *before, const char *text)
{
	shim_log_drain(log);
	keep(log, before, strlen(before));
	keep(log, text, strlen(text));
	keep(log, "\n", 1);
}

void shim_log_close(struct shim_log *log)
{
	shim_log_drain(log);
	note_dropped(log);
	fdatasync(log->file);
	close(log->file);
	close(log->read_end);
	log->file = log->read_end = -1;
}
