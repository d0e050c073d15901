/* SPDX-License-Identifier: Apache-2.0 */
/* logs_command.c - what gantryd itself has logged, from wherever the configuration, or whoever started it, lets it
 * go: a file, the journal, or nowhere that we could know of. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "ctl/control_client.h"
#include "ctl/log_line.h"
#include "ctl/log_tail.h"

enum { LINES_DEFAULT = 100, LINES_MAX = 100000000, LOOK_MS = 200, PID_TIMEOUT_S = 5, LIMIT_CGROUP_BYTES = 64 << 10 };

/* The unit that contrib installs; asked for when no running gantryd says otherwise. */
static const char default_unit[] = "gantry.service";

struct logs {
	struct ctl *ctl;
	bool follow;
	unsigned long lines;
};

/* -- a file ----------------------------------------------------------------------------------- */

static void print_line(void *arg, const char *line, size_t size)
{
	const struct logs *logs = arg;
	json_t *doc;

	if (!logs->ctl->json) {
		fwrite(line, 1, size, stdout);
		putchar('\n');
		return;
	}
	doc = log_line_record(line, size);
	json_dumpf(doc, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(doc);
}

static int show_file(struct logs *logs, const char *path)
{
	struct log_tail tail;
	struct error err;
	bool ok = log_tail_open(&tail, path, logs->lines, print_line, logs, &err);

	if (!ok)
		fprintf(stderr, "gantryctl: %s; the log is for root and the user that gantryd runs as\n", err.text);
	/* Until somebody interrupts it, or nobody reads it. */
	while (ok) {
		log_tail_read(&tail);
		if (fflush(stdout) != 0 || !logs->follow)
			break;
		poll(NULL, 0, LOOK_MS);
	}
	log_tail_close(&tail);
	return ok && !ferror(stdout) ? CONTROL_DONE : CONTROL_FAILED;
}

/* -- the journal ------------------------------------------------------------------------------ */

/* In place of us, when it is there. */
static int show_journal(const struct logs *logs, const char *const *which, const char *missing)
{
	char lines[24];
	const char *argv[16] = { "journalctl", "--no-pager", "-n", lines, "-o", logs->ctl->json ? "json" : "cat" };
	size_t used = 6;

	snprintf(lines, sizeof(lines), "%lu", logs->lines);
	if (logs->follow)
		argv[used++] = "-f";
	while (*which != NULL)
		argv[used++] = *which++;
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "gantryctl: journalctl: %s; %s\n", strerror(errno), missing);
	return CONTROL_FAILED;
}

static int show_syslog(const struct logs *logs)
{
	static const char *const which[] = { "-t", "gantryd", "-t", "gantry-worker", "-t", "gantry-api", NULL };

	return show_journal(logs, which, "log.to is syslog: look where the system's syslogd puts facility \"daemon\", "
		"often /var/log/syslog or /var/log/messages");
}

/* The unit that a process belongs to, the caller's to free; NULL for none.  "0::/system.slice/gantry.service" */
static char *unit_of(long pid, bool *of_user)
{
	char *path = xasprintf("/proc/%ld/cgroup", pid);
	char *text = descriptor_read_file(path, LIMIT_CGROUP_BYTES, NULL, NULL);
	char *rest, *unit = NULL;

	free(path);
	*of_user = text != NULL && strstr(text, "/user@") != NULL;
	for (char *word = text != NULL ? strtok_r(text, "/\n", &rest) : NULL; word != NULL; word = strtok_r(NULL, "/\n", &rest)) {
		size_t size = strlen(word);

		if (size > 8 && strcmp(word + size - 8, ".service") == 0 && strncmp(word, "user@", 5) != 0)
			xreplace(&unit, word);
	}
	free(text);
	return unit;
}

static int show_unit(const struct logs *logs, const char *unit, bool of_user)
{
	const char *const of_system[] = { "-u", unit, NULL };
	const char *const of_users[] = { "--user", "-u", unit, NULL };

	return show_journal(logs, of_user ? of_users : of_system,
		"log.to is stderr: what gantryd says is with whoever started it");
}

/* -- standard error --------------------------------------------------------------------------- */

static void note_pid(void *arg, const struct control_line *line)
{
	const char *pid = control_line_find(line, "pid");

	if (strcmp(line->name, "daemon") == 0 && pid != NULL)
		*(long *)arg = strtol(pid, NULL, 10);
}

/* The file that a process has as its standard error, the caller's to free; NULL when it is none. */
static char *stderr_file(long pid)
{
	char *link = xasprintf("/proc/%ld/fd/2", pid);
	char path[4096];
	ssize_t size = readlink(link, path, sizeof(path) - 1);
	struct stat named, open_one;
	bool same;

	path[size > 0 ? size : 0] = '\0';
	same = size > 0 && stat(link, &open_one) == 0 && S_ISREG(open_one.st_mode) && stat(path, &named) == 0 &&
		named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev;
	free(link);
	return same ? xstrdup(path) : NULL;
}

static int show_stderr(struct logs *logs)
{
	struct error why = { 0 };
	bool of_user = false;
	char *file, *unit;
	long pid = 0;
	int status;

	if (control_ask(logs->ctl, "status", PID_TIMEOUT_S, note_pid, &pid, &why) != CONTROL_DONE || pid <= 0) {
		if (access("/run/systemd/system", F_OK) == 0)
			return show_unit(logs, default_unit, false);
		fprintf(stderr, "gantryctl: log.to is stderr, and no gantryd answers that could say where that goes: %s\n", why.text);
		return CONTROL_UNREACHABLE;
	}
	file = stderr_file(pid);
	unit = file == NULL ? unit_of(pid, &of_user) : NULL;
	if (file != NULL) {
		status = show_file(logs, file);
	} else if (unit != NULL) {
		status = show_unit(logs, unit, of_user);
	} else {
		fprintf(stderr, "gantryctl: log.to is stderr, and that of gantryd (pid %ld) is no file and no journal: what it says "
			"is with whoever started it, a terminal or a container's runtime\n", pid);
		status = CONTROL_FAILED;
	}
	free(file);
	free(unit);
	return status;
}

int run_logs(struct ctl *ctl, int argc, char **argv)
{
	struct logs logs = { .ctl = ctl, .lines = LINES_DEFAULT };
	const struct conf *conf;
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option == 'f')
			logs.follow = true;
		else if (option != 'n' || !ctl_parse_count(optarg, LINES_MAX, &logs.lines))
			return command_usage("logs");
	}
	if (optind != argc)
		return command_usage("logs");
	conf = ctl_conf(ctl);
	if (conf == NULL)
		return CONTROL_FAILED;
	if (strcmp(conf->log.to, "syslog") == 0)
		return show_syslog(&logs);
	return strcmp(conf->log.to, "stderr") == 0 ? show_stderr(&logs) : show_file(&logs, conf->log.to);
}
