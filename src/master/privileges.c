/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.c - see privileges.h.  When to drop them is the master's choice: after it has opened what
 * only root may open and before it starts the first worker. */
#include "master/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf_paths.h"

bool identity_find(struct identity *identity, const char *user, struct error *err)
{
	struct passwd *entry;

	*identity = (struct identity){ .group_count = LIMIT_IDENTITY_GROUPS };
	errno = 0;
	entry = getpwnam(user);
	if (entry == NULL) {
		if (errno != 0)
			error_set_errno(err, ERROR_REFUSED, "supervisor.user: looking up %s", user);
		else
			error_set(err, ERROR_REFUSED, "supervisor.user: there is no user %s", user);
		return false;
	}
	identity->uid = entry->pw_uid;
	identity->gid = entry->pw_gid;
	if (getgrouplist(user, entry->pw_gid, identity->groups, &identity->group_count) < 0) {
		error_set(err, ERROR_REFUSED, "supervisor.user: %s is in more than %d groups", user,
			LIMIT_IDENTITY_GROUPS);
		return false;
	}
	identity->name = xstrdup(user);
	return true;
}

void identity_finish(struct identity *identity)
{
	free(identity->name);
	*identity = (struct identity){ .name = NULL };
}

bool identity_become(const struct identity *identity, struct error *err)
{
	uid_t real, effective, saved;

	if (identity->name == NULL)
		return true;
	if (setgroups((size_t)identity->group_count, identity->groups) != 0 ||
	    setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
	    setresuid(identity->uid, identity->uid, identity->uid) != 0) {
		error_set_errno(err, ERROR_REFUSED, "becoming user %s", identity->name);
		return false;
	}
	if (getresuid(&real, &effective, &saved) != 0 || real != identity->uid || effective != identity->uid ||
	    saved != identity->uid || (identity->uid != 0 && setuid(0) == 0)) {
		error_set(err, ERROR_REFUSED, "becoming user %s did not hold", identity->name);
		return false;
	}
	return true;
}

static bool is_somebody_else(const struct identity *identity)
{
	return identity != NULL && identity->name != NULL && geteuid() == 0;
}

int identity_open(const struct identity *identity, const char *path, int flags, mode_t mode)
{
	int fd, saved, count = getgroups(0, NULL);
	gid_t *groups;

	if (!is_somebody_else(identity))
		return open(path, flags, mode);
	/* For the length of one call; the real and saved ids stay root's. */
	groups = xcalloc((size_t)count + 1, sizeof(*groups));
	if (getgroups(count, groups) != count || setgroups((size_t)identity->group_count, identity->groups) != 0 ||
	    setegid(identity->gid) != 0 || seteuid(identity->uid) != 0)
		panic("cannot act as user %s", identity->name);
	fd = open(path, flags, mode);
	saved = errno;
	if (seteuid(0) != 0 || setegid(getgid()) != 0 || setgroups((size_t)count, groups) != 0)
		panic("cannot act as root again");
	free(groups);
	errno = saved;
	return fd;
}

bool identity_give(const struct identity *identity, const char *path, struct error *err)
{
	if (!is_somebody_else(identity) || lchown(path, identity->uid, identity->gid) == 0)
		return true;
	error_set_errno(err, ERROR_REFUSED, "%s: giving it to user %s", path, identity->name);
	return false;
}

bool identity_make(const struct identity *identity, const char *file, struct error *err)
{
	char *dir = xstrndup(file, strrchr(file, '/') != NULL ? (size_t)(strrchr(file, '/') - file) : 0);
	bool missing = dir[0] != '\0' && access(dir, F_OK) != 0;
	bool ok = conf_paths_make(file, err) && (!missing || identity_give(identity, dir, err));

	free(dir);
	return ok;
}

void privileges_set_limits(void)
{
	struct rlimit files;

	umask(027);
	if (chdir("/") != 0)
		log_warn(NULL, "cannot change to /: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		log_warn(NULL, "cannot raise the limit of open files: %s", strerror(errno));
}
