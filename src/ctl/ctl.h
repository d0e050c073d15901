/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - what gantryctl's commands share: options, configuration, output.  Private to src/ctl. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json_at.h"
#include "conf/conf.h"
#include "ipc/control_line.h"

struct ctl {
	const char *file;               /* of the configuration */
	bool json;                      /* machine-readable output */
	bool terminal;                  /* stdout is one: colour, live progress */
	struct conf *conf;              /* once ctl_conf() was asked for it */
};

struct command {
	const char *name;
	const char *usage;              /* what follows the name */
	const char *text;               /* one line for the help */
	/* argv[0] is the command's name; answers an enum control_status. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

/* commands.c: ends with a row of NULLs. */
extern const struct command commands[];
const struct command *command_find(const char *name);

/* configuration.c */
/* The checked configuration, read by gantry-check; NULL after the errors were printed. */
const struct conf *ctl_conf(struct ctl *ctl);
/* Runs gantry-check on the file with our stdout and stderr; its exit status. */
int ctl_check(const char *file);
/* Path of a helper program, the caller's to free. */
char *ctl_libexec(const char *program);
/* The configured control socket; the default one when the file is broken.  The caller's to free. */
char *ctl_socket_path(struct ctl *ctl);

/* A count that a person gave: digits only, 1 to max. */
bool ctl_parse_count(const char *text, unsigned long max, unsigned long *count);

/* output.c */
enum { CTL_AGE_BYTES = 24 };
void ctl_print_json(const json_t *doc);
/* A line for each member that is not null; members of an object inside get its name in front. */
void ctl_print_members(const json_t *object, const char *prefix);
/* "12s", "3m 5s", "2h 10m" */
void ctl_print_age(int64_t ms, char text[CTL_AGE_BYTES]);

/* command files */
int run_status(struct ctl *ctl, int argc, char **argv);
int run_reload(struct ctl *ctl, int argc, char **argv);
int run_upgrade(struct ctl *ctl, int argc, char **argv);
int run_stop(struct ctl *ctl, int argc, char **argv);
int run_workers(struct ctl *ctl, int argc, char **argv);
int run_conf(struct ctl *ctl, int argc, char **argv);
int run_check(struct ctl *ctl, int argc, char **argv);
int run_jobs(struct ctl *ctl, int argc, char **argv);
int run_show(struct ctl *ctl, int argc, char **argv);
int run_submit(struct ctl *ctl, int argc, char **argv);
int run_why(struct ctl *ctl, int argc, char **argv);
int run_cancel(struct ctl *ctl, int argc, char **argv);
int run_retry(struct ctl *ctl, int argc, char **argv);
int run_locks(struct ctl *ctl, int argc, char **argv);
int run_unlock(struct ctl *ctl, int argc, char **argv);
int run_queues(struct ctl *ctl, int argc, char **argv);
int run_peek(struct ctl *ctl, int argc, char **argv);
int run_redrive(struct ctl *ctl, int argc, char **argv);
int run_outbox(struct ctl *ctl, int argc, char **argv);
int run_send(struct ctl *ctl, int argc, char **argv);
int run_receive(struct ctl *ctl, int argc, char **argv);

/* Prints usage of the command on stderr; CONTROL_USAGE. */
int command_usage(const char *name);

#endif
