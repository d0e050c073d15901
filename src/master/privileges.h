/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h - who we are, and becoming somebody less for good. */
#ifndef MASTER_PRIVILEGES_H
#define MASTER_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum { LIMIT_IDENTITY_GROUPS = 64 };

struct identity {
	char *name;             /* NULL: stay who we are */
	uid_t uid;
	gid_t gid;
	gid_t groups[LIMIT_IDENTITY_GROUPS];
	int group_count;
};

/* Looks a user up.  Reads the user data base, so only while starting. */
bool identity_find(struct identity *identity, const char *user, struct error *err);
void identity_finish(struct identity *identity);
/* Becomes that user with its groups, and makes sure that there is no way back. */
bool identity_become(const struct identity *identity, struct error *err);
/* open(2) as that user: in a directory of his, root would follow whatever link he has put there. */
int identity_open(const struct identity *identity, const char *path, int flags, mode_t mode);
/* Makes the directories that a file will be in; the last one, when it was missing, is that user's. */
bool identity_make(const struct identity *identity, const char *file, struct error *err);
/* Gives a socket to that user; without a name, or as an ordinary user, nothing happens. */
bool identity_give(const struct identity *identity, const char *path, struct error *err);

/* umask, working directory, as many descriptors as are allowed. */
void privileges_set_limits(void);

#endif
