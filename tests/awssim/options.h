/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line. */
#ifndef AWSSIM_OPTIONS_H
#define AWSSIM_OPTIONS_H

#include "simulator.h"

enum { LIMIT_REPEATED_OPTIONS = 256 };

struct options {
	unsigned short port;
	const char *port_file, *record; /* NULL: none */
	const char *exec_dir;           /* NULL: the current directory */
	char *queues[LIMIT_REPEATED_OPTIONS];
	char *keys[LIMIT_REPEATED_OPTIONS];
	char *definitions[LIMIT_REPEATED_OPTIONS];
	unsigned queue_count, key_count, definition_count;
	uint64_t seed;
	json_int_t task_start_ms, task_run_ms, task_stop_ms, stop_timeout_ms;   /* -1: default */
	json_int_t consistency_ms, stopped_life_s;
	int parent_fd;                  /* -1: none */
	bool no_auth, no_ledger, strict, exec;
	int exit_status;                /* when reading them ends the program */
};

/* False when the program is to end at once (--help, or a mistake that was reported). */
bool options_read(struct options *, int argc, char **argv);
void options_finish(struct options *);
/* Queues, keys, task definitions and settings, once the port is known.  Reports mistakes. */
bool options_apply(const struct options *, struct simulator *);

#endif
