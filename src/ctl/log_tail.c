/* SPDX-License-Identifier: Apache-2.0 */
/* log_tail.c - see log_tail.h. */
#include "ctl/log_tail.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"

/* A line of gantryd's has at most 4 KiB; what is longer is not its own, and is given in parts. */
enum { TAIL_BLOCK_BYTES = 64 << 10, LIMIT_TAIL_LINE_BYTES = 256 << 10 };

static void file_init(struct log_tail_file *file, int fd)
{
	file->fd = fd;
	file->offset = 0;
	buf_init(&file->line, LIMIT_TAIL_LINE_BYTES);
}

static void give(struct log_tail *tail, struct log_tail_file *file)
{
	tail->fn(tail->arg, buf_text(&file->line), file->line.size);
	buf_clear(&file->line);
}

static void file_close(struct log_tail *tail, struct log_tail_file *file)
{
	if (file->line.size > 0)
		give(tail, file);
	buf_finish(&file->line);
	descriptor_close(&file->fd);
}

static void take(struct log_tail *tail, struct log_tail_file *file, const char *bytes, size_t size)
{
	while (size > 0) {
		const char *newline = memchr(bytes, '\n', size);
		size_t part = newline != NULL ? (size_t)(newline - bytes) : size;

		if (!buf_add(&file->line, bytes, part)) {
			give(tail, file);
			buf_add(&file->line, bytes, part);
		}
		if (newline == NULL)
			return;
		give(tail, file);
		bytes += part + 1;
		size -= part + 1;
	}
}

static void read_file(struct log_tail *tail, struct log_tail_file *file)
{
	char block[TAIL_BLOCK_BYTES];
	struct stat about;
	ssize_t n;

	if (file->fd < 0)
		return;
	/* Emptied under us, as logrotate's copytruncate does. */
	if (fstat(file->fd, &about) == 0 && about.st_size < file->offset)
		file->offset = 0;
	while ((n = pread(file->fd, block, sizeof(block), file->offset)) > 0) {
		file->offset += n;
		take(tail, file, block, (size_t)n);
	}
}

/* Where the last `lines` lines begin; a newline at the very end ends the last line and begins none. */
static off_t find_start(int fd, unsigned long lines)
{
	char block[TAIL_BLOCK_BYTES];
	off_t end = lseek(fd, 0, SEEK_END), from = end;
	unsigned long seen = 0;

	while (from > 0) {
		size_t size = from < TAIL_BLOCK_BYTES ? (size_t)from : TAIL_BLOCK_BYTES;
		ssize_t n = pread(fd, block, size, from - (off_t)size);

		if (n != (ssize_t)size)
			break;
		from -= (off_t)size;
		for (size_t i = size; i-- > 0;) {
			if (block[i] == '\n' && from + (off_t)i + 1 < end && ++seen == lines)
				return from + (off_t)i + 1;
		}
	}
	return 0;
}

static int open_path(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

bool log_tail_open(struct log_tail *tail, const char *path, unsigned long lines, log_tail_fn *fn, void *arg,
	struct error *err)
{
	*tail = (struct log_tail){ .path = path, .fn = fn, .arg = arg };
	file_init(&tail->now, open_path(path));
	file_init(&tail->before, -1);
	if (tail->now.fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "%s", path);
		return false;
	}
	tail->now.offset = find_start(tail->now.fd, lines);
	return true;
}

/* Whether the path names another file than the one that is read. */
static bool is_rotated(const struct log_tail *tail)
{
	struct stat named, ours;

	return stat(tail->path, &named) == 0 && fstat(tail->now.fd, &ours) == 0 &&
		(named.st_dev != ours.st_dev || named.st_ino != ours.st_ino);
}

static void rotate(struct log_tail *tail)
{
	int fd = open_path(tail->path);

	if (fd < 0)
		return;
	file_close(tail, &tail->before);
	tail->before = tail->now;
	file_init(&tail->now, fd);
}

void log_tail_read(struct log_tail *tail)
{
	/* Asked first: what was written before the rotation comes before what was written after it. */
	bool rotated = is_rotated(tail);

	read_file(tail, &tail->before);
	read_file(tail, &tail->now);
	if (!rotated)
		return;
	rotate(tail);
	read_file(tail, &tail->now);
}

void log_tail_close(struct log_tail *tail)
{
	file_close(tail, &tail->before);
	file_close(tail, &tail->now);
}
