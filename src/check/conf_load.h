/* SPDX-License-Identifier: Apache-2.0 */
/* conf_load.h - a file as a checked struct conf, or all that is wrong with it. */
#ifndef CHECK_CONF_LOAD_H
#define CHECK_CONF_LOAD_H

#include "check/complaint.h"
#include "conf/conf.h"

/* Complaints about one check; zeroed at first. */
struct check {
	struct complaints complaints;           /* about the configuration */
	struct complaints env_complaints;       /* about what env_file names */
	char *env_file;                         /* its path as it is opened, or NULL */
};

void check_finish(struct check *check);
/* Writes all complaints to standard error; file is the configuration's name. */
void check_print(struct check *check, const char *file);

/* Reads file, and what it names, and checks all of it.  NULL when anything is wrong: see check. */
struct conf *conf_load(const char *file, struct check *check);
/* Reads only supervisor.user from it, taking variables from the environment alone, for root, who
 * should open nothing else: *user is the caller's, NULL when not given.  False with complaints. */
bool conf_load_user(const char *file, struct check *check, char **user);
/* Likewise supervisor.control_socket, so that gantryctl reaches a daemon whose file is broken. */
bool conf_load_control_socket(const char *file, struct check *check, char **path);

#endif
