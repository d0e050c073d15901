/* SPDX-License-Identifier: Apache-2.0 */
/* gantryd.c - the master's main(): options, and which life they ask for.
 *
 * Three options are for the program itself, in an upgrade: --preflight=FD, --resume=FD and
 * --rolled-back=WHY. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/daemonize.h"
#include "master/master.h"
#include "master/privileges.h"
#include "master/programs.h"
#include "master/signals.h"
#include "master/version.h"

enum { EXIT_USAGE = 2, OPTION_PREFLIGHT = 256, OPTION_RESUME, OPTION_ROLLED_BACK };

static const struct option long_options[] = {
	{ "preflight", required_argument, NULL, OPTION_PREFLIGHT },
	{ "resume", required_argument, NULL, OPTION_RESUME },
	{ "rolled-back", required_argument, NULL, OPTION_ROLLED_BACK },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	const char *conf_path, *pid_file, *rolled_back;
	bool foreground, test, version;
	int preflight_fd, resume_fd;
};

static void usage(void) __attribute__((noreturn));
static void usage(void)
{
	fprintf(stderr, "usage: gantryd [-ftV] [-c file] [-p pidfile]\n");
	exit(EXIT_USAGE);
}

static int parse_fd(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || fd > 1 << 20)
		usage();
	return (int)fd;
}

static void parse(struct arguments *arguments, int argc, char **argv)
{
	int option;

	*arguments = (struct arguments){ .preflight_fd = -1, .resume_fd = -1 };
	while ((option = getopt_long(argc, argv, "c:fp:tV", long_options, NULL)) != -1) {
		switch (option) {
		case 'c': arguments->conf_path = optarg; break;
		case 'f': arguments->foreground = true; break;
		case 'p': arguments->pid_file = optarg; break;
		case 't': arguments->test = true; break;
		case 'V': arguments->version = true; break;
		case OPTION_PREFLIGHT: arguments->preflight_fd = parse_fd(optarg); break;
		case OPTION_RESUME: arguments->resume_fd = parse_fd(optarg); break;
		case OPTION_ROLLED_BACK: arguments->rolled_back = optarg; break;
		default: usage();
		}
	}
	if (optind != argc)
		usage();
	if (arguments->conf_path == NULL)
		arguments->conf_path = SYSCONFDIR "/gantry/gantry.yaml";
}

/* The working directory is / soon. */
static char *make_absolute(const char *path)
{
	char *here, *absolute;

	if (path == NULL || path[0] == '/')
		return xstrdup(path);
	here = getcwd(NULL, 0);
	if (here == NULL) {
		perror("gantryd: the working directory");
		exit(EXIT_FAILURE);
	}
	absolute = xasprintf("%s/%s", here, path);
	free(here);
	return absolute;
}

static int test_configuration(const char *path)
{
	struct error err;

	programs_exec_check(path, &err);
	fprintf(stderr, "gantryd: %s\n", err.text);
	return EXIT_FAILURE;
}

static void go_to_background(struct master_options *options)
{
	struct error err;

	options->tell_fd = daemonize(&err);
	if (options->tell_fd >= 0)
		return;
	fprintf(stderr, "gantryd: %s\n", err.text);
	exit(EXIT_FAILURE);
}

/* Started with a standard descriptor closed, the first file that is opened would take its place, and
 * lose it when we become a daemon. */
static void reserve_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct master_options options = { .tell_fd = -1 };
	char *conf_path, *pid_file;
	int status;

	/* Before anything else: a signal that comes now waits until there is somebody to hear it. */
	signals_block();
	reserve_standard_descriptors();
	/* Executed by descriptor, the name would be its number. */
	prctl(PR_SET_NAME, "gantryd");
	parse(&arguments, argc, argv);
	if (arguments.version) {
		printf("gantryd %s\n", version_text());
		return EXIT_SUCCESS;
	}
	if (arguments.preflight_fd >= 0)
		return upgrade_preflight(arguments.preflight_fd);
	if (arguments.test)
		return test_configuration(arguments.conf_path);
	options.conf_path = conf_path = make_absolute(arguments.conf_path);
	options.pid_file = pid_file = make_absolute(arguments.pid_file);
	options.foreground = arguments.foreground;
	options.resume_fd = arguments.resume_fd;
	options.rolled_back = arguments.rolled_back;
	if (!options.foreground && options.resume_fd < 0)
		go_to_background(&options);
	privileges_set_limits();
	status = master_run(&options);
	free(conf_path);
	free(pid_file);
	return status;
}
