/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.c - see descriptor.h. */
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

static bool set_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return false;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag) == 0;
}

bool descriptor_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

bool descriptor_set_nonblocking(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

void descriptor_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

bool descriptor_write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

int descriptor_sealed_memory(const char *name, const void *bytes, size_t size, struct error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		error_set_errno(err, ERROR_TEMPORARY, "memfd_create");
		return -1;
	}
	if (!descriptor_write_all(fd, bytes, size) || lseek(fd, 0, SEEK_SET) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
		error_set_errno(err, ERROR_TEMPORARY, "sealed memory of %zu bytes", size);
		descriptor_close(&fd);
	}
	return fd;
}

char *descriptor_read_all(int fd, size_t limit, size_t *size, struct error *err)
{
	struct buf buf;
	char chunk[16384];
	off_t offset = 0;

	buf_init(&buf, limit);
	for (;;) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error_set_errno(err, ERROR_TEMPORARY, "read");
			break;
		}
		if (n == 0) {
			if (size != NULL)
				*size = buf.size;
			return buf_take(&buf);
		}
		if (!buf_add(&buf, chunk, (size_t)n)) {
			error_set(err, ERROR_INVALID, "larger than %zu bytes", limit);
			break;
		}
		offset += n;
	}
	buf_finish(&buf);
	return NULL;
}

char *descriptor_read_file(const char *path, size_t limit, size_t *size, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	char *bytes;

	if (fd < 0) {
		error_set_errno(err, errno == ENOENT ? ERROR_INVALID : ERROR_REFUSED, "%s", path);
		return NULL;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		error_set(err, ERROR_INVALID, "%s: not a regular file", path);
		descriptor_close(&fd);
		return NULL;
	}
	bytes = descriptor_read_all(fd, limit, size, err);
	if (bytes == NULL)
		error_prefix(err, "%s", path);
	descriptor_close(&fd);
	return bytes;
}
