/* SPDX-License-Identifier: Apache-2.0 */
/* local_socket.c - see local_socket.h. */
#include "master/local_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor.h"

static bool set_address(struct sockaddr_un *address, const char *what, const char *path, struct error *err)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path)) {
		error_set(err, ERROR_INVALID, "%s %s: the name is longer than %zu bytes", what, path,
			sizeof(address->sun_path) - 1);
		return false;
	}
	memcpy(address->sun_path, path, strlen(path));
	return true;
}

/* 0 when somebody listens there, whatever its pid file is called; ECONNREFUSED when its owner is dead; else why
 * neither is known. */
static int knock(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno == EAGAIN);
	int why = served ? 0 : errno;

	descriptor_close(&fd);
	return why;
}

/* Only what is known to be dead is removed: a datagram socket, or one that we may not speak to, is alive. */
static bool make_way(const struct sockaddr_un *address, const char *what, struct error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int why;

	if (lstat(path, &st) != 0)
		return true;
	if (!S_ISSOCK(st.st_mode)) {
		error_set(err, ERROR_REFUSED, "%s %s: there is a file that is no socket", what, path);
		return false;
	}
	why = knock(address);
	if (why == 0)
		error_set(err, ERROR_REFUSED, "%s %s is served by another process: is gantryd already running?", what,
			path);
	else if (why != ECONNREFUSED && why != ENOENT)
		error_set(err, ERROR_REFUSED, "%s %s: there is a socket, and whether it is in use can't be seen: %s", what,
			path, strerror(why));
	else
		unlink(path);
	return why == ECONNREFUSED || why == ENOENT;
}

static bool bind_and_listen(int fd, const struct sockaddr_un *address, int backlog, struct local_name *name)
{
	struct stat st;
	/* Its mode is the umask's at bind(2); a chmod(2) afterwards would leave a gap. */
	mode_t mask = umask(0117);
	bool bound = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	int saved = errno;

	umask(mask);
	errno = saved;
	if (!bound)
		return false;
	if (lstat(address->sun_path, &st) == 0)
		*name = (struct local_name){ .device = st.st_dev, .inode = st.st_ino };
	return listen(fd, backlog) == 0;
}

int local_socket_listen(const char *what, const char *path, int backlog, const struct identity *identity,
	struct local_name *name, struct error *err)
{
	struct sockaddr_un address;
	int fd;

	*name = (struct local_name){ 0 };
	if (!set_address(&address, what, path, err) || !identity_make(identity, path, err) ||
	    !make_way(&address, what, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind_and_listen(fd, &address, backlog, name)) {
		if (identity_give(identity, path, err))
			return fd;
	} else {
		error_set_errno(err, ERROR_REFUSED, "%s %s", what, path);
	}
	descriptor_close(&fd);
	local_socket_remove(path, name);
	return -1;
}

void local_socket_remove(const char *path, const struct local_name *name)
{
	struct stat st;

	if (name->inode == 0 || lstat(path, &st) != 0 || st.st_dev != name->device || st.st_ino != name->inode)
		return;
	/* After privileges were dropped the directory may not be ours; the next start replaces it then. */
	unlink(path);
}
