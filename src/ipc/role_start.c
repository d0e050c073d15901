/* SPDX-License-Identifier: Apache-2.0 */
/* role_start.c - see role_start.h. */
#include "ipc/role_start.h"

#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "conf/conf_canonical.h"

/* The master decides when we reopen logs, drain or leave, and tells us over the channel: a signal
 * meant for the master must not hit us too.  TERM and QUIT are for people and service managers. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGPIPE };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static void open_log(const char *program, const struct heritage *heritage, const struct conf *conf)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_LOGFMT;

	log_level_parse(conf->log.level, &level);
	log_format_parse(conf->log.format, &format);
	if (heritage->log_fd >= 0)
		log_open_fd(heritage->log_fd, format, level);
	else
		log_open_syslog(program, format, level);
}

struct conf *role_start(const char *program, struct heritage *heritage)
{
	struct error err;
	struct conf *conf;

	ignore_signals();
	if (!heritage_read(heritage, &err)) {
		fprintf(stderr, "%s: %s; it is started by gantryd, not by hand\n", program, err.text);
		return NULL;
	}
	conf = conf_canonical_read_fd(heritage->config_fd, &err);
	if (conf == NULL)
		fprintf(stderr, "%s: configuration: %s\n", program, err.text);
	else
		open_log(program, heritage, conf);
	return conf;
}
