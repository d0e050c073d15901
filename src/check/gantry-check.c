/* SPDX-License-Identifier: Apache-2.0 */
/* gantry-check.c - reads and checks a configuration, and lives for the length of that.
 *
 * It is the only program that parses YAML, so it bounds itself: a file that is made to hurt ends
 * this process and nothing else.  Modes: for people (FILE: ok), the canonical form on standard
 * output, and the same into a descriptor that the master seals and hands to the workers. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/descriptor.h"
#include "check/conf_load.h"
#include "check/manual.h"
#include "conf/conf_canonical.h"

enum { EXIT_USAGE = 2, LIMIT_CPU_S = 10, LIMIT_MEMORY_MIB = 512 };

struct options {
	bool canonical, mask, only_user, only_socket, man;
	int fd;                         /* where the canonical form goes; -1: standard output */
	const char *file;
};

static void usage(void)
{
	fputs("usage: gantry-check FILE\n"
	      "       gantry-check --canonical [--mask] FILE\n"
	      "       gantry-check --fd N FILE\n"
	      "       gantry-check --only-user|--only-socket FILE\n"
	      "       gantry-check --man\n", stderr);
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

static struct options parse_options(int argc, char **argv)
{
	enum { CANONICAL = 1, MASK, FD, ONLY_USER, ONLY_SOCKET, MAN };
	static const struct option longs[] = {
		{ "canonical", no_argument, NULL, CANONICAL }, { "mask", no_argument, NULL, MASK },
		{ "fd", required_argument, NULL, FD }, { "only-user", no_argument, NULL, ONLY_USER },
		{ "only-socket", no_argument, NULL, ONLY_SOCKET }, { "man", no_argument, NULL, MAN }, { NULL, 0, NULL, 0 },
	};
	struct options options = { .fd = -1 };

	for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (option) {
		case CANONICAL: options.canonical = true; break;
		case MASK: options.mask = true; break;
		case FD: options.fd = parse_fd(optarg); break;
		case ONLY_USER: options.only_user = true; break;
		case ONLY_SOCKET: options.only_socket = true; break;
		case MAN: options.man = true; break;
		default: usage();
		}
	}
	if (argc - optind != (options.man ? 0 : 1) || (options.mask && !options.canonical) ||
	    options.canonical + options.only_user + options.only_socket + options.man + (options.fd >= 0) > 1)
		usage();
	options.file = argv[optind];
	return options;
}

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0 && (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)) {
		limit.rlim_cur = limit.rlim_max = value;
		setrlimit(resource, &limit);
	}
}

static void bound_ourselves(void)
{
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_CPU, LIMIT_CPU_S);
	/* The sanitizers map terabytes and look at themselves with ptrace(2). */
#ifndef __SANITIZE_ADDRESS__
	set_limit(RLIMIT_AS, (rlim_t)LIMIT_MEMORY_MIB << 20);
	/* A dump that is piped to a program knows no limit, and would hold secrets. */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* True when all that was printed has left. */
static bool flushed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	perror("gantry-check: standard output");
	return false;
}

static bool write_canonical(const struct options *options, const struct conf *conf)
{
	int fd = options->fd >= 0 ? options->fd : 1;
	struct buf text;
	bool ok = false;

	buf_init(&text, LIMIT_CONF_BYTES);
	conf_canonical_write(conf, options->mask, &text);
	if (text.overflowed)
		fprintf(stderr, "%s:1:1: document: expected at most %d bytes in canonical form, found more\n",
			options->file, LIMIT_CONF_BYTES);
	else if (!descriptor_write_all(fd, buf_text(&text), text.size))
		perror("gantry-check: canonical form");
	else
		ok = true;
	if (text.bytes != NULL)
		explicit_bzero(text.bytes, text.size);
	buf_finish(&text);
	return ok;
}

static bool check(const struct options *options)
{
	struct check check = { 0 };
	struct conf *conf = conf_load(options->file, &check);
	bool ok = conf != NULL;

	if (!ok) {
		check_print(&check, options->file);
	} else if (options->canonical || options->fd >= 0) {
		ok = write_canonical(options, conf);
	} else {
		printf("%s: ok\n", options->file);
		ok = flushed();
	}
	conf_destroy(conf);
	check_finish(&check);
	return ok;
}

/* One value of the file, or an empty line when it is not given. */
static bool print_only(const char *file, bool (*load)(const char *, struct check *, char **))
{
	struct check check = { 0 };
	char *value;
	bool ok = load(file, &check, &value);

	if (ok)
		printf("%s\n", value != NULL ? value : "");
	else
		check_print(&check, file);
	free(value);
	check_finish(&check);
	return ok && flushed();
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	bool ok;

	bound_ourselves();
	if (options.man) {
		manual_print();
		ok = flushed();
	} else if (options.only_user) {
		ok = print_only(options.file, conf_load_user);
	} else if (options.only_socket) {
		ok = print_only(options.file, conf_load_control_socket);
	} else {
		ok = check(&options);
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
