/* SPDX-License-Identifier: Apache-2.0 */
/* log_target.c - see log_target.h. */
#include "master/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"

static int open_file(const char *path, const struct identity *identity, struct error *err)
{
	int fd;

	if (identity != NULL && !identity_make(identity, path, err))
		return -1;
	fd = identity_open(identity, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (fd < 0)
		error_set_errno(err, ERROR_REFUSED, "log file %s", path);
	return fd;
}

static bool understand(struct log_target *target, const struct conf_log *conf, struct error *err)
{
	*target = (struct log_target){ .fd = -1 };
	if (!log_format_parse(conf->format, &target->format) || !log_level_parse(conf->level, &target->level)) {
		error_set(err, ERROR_INVALID, "log: format %s, level %s", conf->format, conf->level);
		return false;
	}
	if (strcmp(conf->to, "stderr") == 0)
		target->kind = CONF_LOG_STDERR;
	else if (strcmp(conf->to, "syslog") == 0)
		target->kind = CONF_LOG_SYSLOG;
	else
		target->kind = CONF_LOG_FILE;
	return true;
}

bool log_target_open(struct log_target *target, const struct conf_log *conf, const struct identity *identity,
	struct error *err)
{
	if (!understand(target, conf, err))
		return false;
	if (target->kind != CONF_LOG_FILE)
		return true;
	target->fd = open_file(conf->to, identity, err);
	if (target->fd < 0)
		return false;
	target->path = xstrdup(conf->to);
	return true;
}

bool log_target_inherit(struct log_target *target, const struct conf_log *conf, int fd, struct error *err)
{
	if (!understand(target, conf, err))
		return false;
	if (target->kind == CONF_LOG_FILE && fd < 0) {
		error_set(err, ERROR_INVALID, "log file %s did not come along", conf->to);
		return false;
	}
	if (target->kind == CONF_LOG_FILE) {
		target->path = xstrdup(conf->to);
		target->fd = fd;
	}
	return true;
}

void log_target_close(struct log_target *target)
{
	/* Whatever is said after this goes to standard error rather than into a stranger's descriptor. */
	if (target->fd >= 0 && log_fd() == target->fd)
		log_open_fd(STDERR_FILENO, target->format, target->level);
	descriptor_close(&target->fd);
	free(target->path);
	target->path = NULL;
}

void log_target_use(const struct log_target *target)
{
	if (target->kind == CONF_LOG_SYSLOG)
		log_open_syslog("gantryd", target->format, target->level);
	else
		log_open_fd(log_target_fd(target), target->format, target->level);
}

int log_target_fd(const struct log_target *target)
{
	switch (target->kind) {
	case CONF_LOG_STDERR:
		return STDERR_FILENO;
	case CONF_LOG_FILE:
		return target->fd;
	case CONF_LOG_SYSLOG:
		break;
	}
	return -1;
}

bool log_target_reopen(struct log_target *target, struct error *err)
{
	bool in_use = target->fd >= 0 && log_fd() == target->fd;
	int fd;

	if (target->kind != CONF_LOG_FILE)
		return true;
	fd = open_file(target->path, NULL, err);
	if (fd < 0)
		return false;
	descriptor_close(&target->fd);
	target->fd = fd;
	if (in_use)
		log_target_use(target);
	return true;
}
