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

/* What a word of the command line is: how usage names it, and what completes it. */
enum ctl_word {
	WORD_NONE,                      /* an option without an argument */
	WORD_TEXT,
	WORD_COUNT,
	WORD_TIME,
	WORD_VARIABLE,
	WORD_FILE,
	WORD_CHOICE,                    /* one of the words that value lists, separated by | */
	WORD_QUEUE,
	WORD_DEPLOYER,
	WORD_PROJECT,
	WORD_STATE,
	WORD_JOB,
	WORD_LIVE_JOB,                  /* one that has not ended */
	WORD_ENDED_JOB,
	WORD_LOCK,
	WORD_KEY,                       /* of the configuration */
	WORD_DEAD_DELIVERY,             /* one that was given up */
	CTL_WORDS
};

struct command_option {
	const char *name;               /* without its dashes; NULL after the last */
	char letter;                    /* what command_option() answers */
	bool is_short;                  /* -LETTER is the same */
	enum ctl_word word;             /* its argument */
};

/* What a command prints with --json. */
enum command_json {
	COMMAND_JSON_DOCUMENT,          /* one document */
	COMMAND_JSON_LINES,             /* a document on each line, as things happen */
	COMMAND_JSON_NONE,              /* nothing that a program could read: --json is wrong usage */
};

enum { COMMAND_OPTIONS_MAX = 12, COMMAND_OPERANDS_MAX = 2 };

struct command {
	const char *name;
	const char *operands;           /* what follows name and options in the usage */
	const char *text;               /* one line for the help */
	/* argv[0] is the command's name; answers an enum control_status. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
	enum command_json json;
	struct command_option options[COMMAND_OPTIONS_MAX];
	struct { enum ctl_word word; const char *choices; } complete[COMMAND_OPERANDS_MAX];  /* operands, in order */
};

/* commands.c: ends with a row of NULLs. */
extern const struct command commands[];
const struct command *command_find(const char *name);
/* The next option of argv[0]'s table: its letter with optarg as getopt_long(3) leaves it, '?' for what is not
 * in the table, -1 after the last. */
int command_option(int argc, char **argv);
/* The placeholder of a word, "QUEUE"; "" for WORD_NONE. */
const char *ctl_word_name(enum ctl_word word);
/* The table as a JSON document, the caller's. */
json_t *commands_record(void);

/* configuration.c */
/* The checked configuration, read by gantry-check; NULL after the errors were printed. */
const struct conf *ctl_conf(struct ctl *ctl);
/* Runs gantry-check on the file with our stdout and stderr; its exit status. */
int ctl_check(const char *file);
/* The same, with what it said as text, the caller's to free. */
int ctl_check_quietly(const char *file, char **text);
/* Path of a helper program, the caller's to free. */
char *ctl_libexec(const char *program);
/* The configured control socket; the default one when the file is broken.  The caller's to free. */
char *ctl_socket_path(struct ctl *ctl);

/* A count that a person gave: digits only, 1 to max. */
bool ctl_parse_count(const char *text, unsigned long max, unsigned long *count);

/* output.c */
enum { CTL_AGE_BYTES = 24 };
void ctl_print_json(const json_t *doc);
/* The same on one line, written out at once: for what happens while one waits. */
void ctl_print_json_line(const json_t *doc);
/* Text from outside on one line: what would move the cursor or colour the screen is shown as \n, \x1b. */
void ctl_print_text(const char *text);
/* A line for each member that is not null or an array; members of an object inside get its name in front. */
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
int run_store(struct ctl *ctl, int argc, char **argv);
int run_send(struct ctl *ctl, int argc, char **argv);
int run_receive(struct ctl *ctl, int argc, char **argv);
int run_log(struct ctl *ctl, int argc, char **argv);
int run_logs(struct ctl *ctl, int argc, char **argv);
int run_top(struct ctl *ctl, int argc, char **argv);
int run_completion(struct ctl *ctl, int argc, char **argv);

/* Prints usage of the command on stderr; CONTROL_USAGE. */
int command_usage(const char *name);

#endif
