/* SPDX-License-Identifier: Apache-2.0 */
/* log_target.h - where an edition's processes log.  The master opens files for all of them, so that
 * workers need no right on the directory. */
#ifndef MASTER_LOG_TARGET_H
#define MASTER_LOG_TARGET_H

#include <stdbool.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"
#include "master/privileges.h"

struct log_target {
	enum conf_log_target kind;
	char *path;                     /* CONF_LOG_FILE */
	int fd;                         /* of the file; -1 otherwise */
	enum log_format format;
	enum log_level level;
};

/* A file is opened, and made, as that identity, which will have to open it again. */
bool log_target_open(struct log_target *target, const struct conf_log *conf, const struct identity *identity,
	struct error *err);
/* With a file's descriptor that came through an exec; not taken on error. */
bool log_target_inherit(struct log_target *target, const struct conf_log *conf, int fd, struct error *err);
void log_target_close(struct log_target *target);
/* This process logs there from now on. */
void log_target_use(const struct log_target *target);
/* The descriptor for a child: standard error, the file, or -1 for syslog. */
int log_target_fd(const struct log_target *target);
/* Opens the path again; the old file is kept when that fails. */
bool log_target_reopen(struct log_target *target, struct error *err);

#endif
