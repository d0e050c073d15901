/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_user.c - whom a local command runs as: numbers for the shim, names for its environment. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "exec/exec_process.h"

bool process_user_find(struct process_user *user, const char *name, struct error *err)
{
	struct passwd *entry;

	*user = (struct process_user){ .group_count = LIMIT_SHIM_GROUPS };
	errno = 0;
	entry = name != NULL ? getpwnam(name) : getpwuid(geteuid());
	if (entry == NULL && name == NULL) {
		/* A container's user needs no name. */
		user->name = xasprintf("%u", (unsigned)geteuid());
		user->home = xstrdup("/");
		user->shell = xstrdup("/bin/sh");
		return true;
	}
	if (entry == NULL) {
		error_set(err, ERROR_REFUSED, "user: %s: %s", name, errno != 0 ? strerror(errno) : "there is no such user");
		return false;
	}
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->other = name != NULL && entry->pw_uid != geteuid();
	user->name = xstrdup(entry->pw_name);
	user->home = xstrdup(entry->pw_dir);
	user->shell = xstrdup(*entry->pw_shell != '\0' ? entry->pw_shell : "/bin/sh");
	if (user->other && getgrouplist(user->name, user->gid, user->groups, &user->group_count) < 0) {
		error_set(err, ERROR_REFUSED, "user: %s is in more than %d groups", user->name, LIMIT_SHIM_GROUPS);
		process_user_finish(user);
		return false;
	}
	return true;
}

void process_user_finish(struct process_user *user)
{
	free(user->name);
	free(user->home);
	free(user->shell);
	*user = (struct process_user){ 0 };
}
