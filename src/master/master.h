/* SPDX-License-Identifier: Apache-2.0 */
/* master.h - the process that keeps the others alive.
 *
 * One loop, one struct.  It parses no YAML and no JSON, speaks to no network, and never waits: what
 * may take long is an errand of its own.  Private to src/master. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "master/control.h"
#include "master/edition.h"
#include "master/generation.h"
#include "master/hint.h"
#include "master/listeners.h"
#include "master/notify_socket.h"
#include "master/pid_file.h"
#include "master/privileges.h"
#include "master/programs.h"
#include "master/reload.h"
#include "master/roster.h"
#include "master/signals.h"
#include "master/stop.h"
#include "master/queue_rates.h"
#include "master/tally.h"
#include "master/upgrade.h"
#include "master/watchdog.h"

struct master_options {
	const char *conf_path;          /* absolute */
	const char *pid_file;           /* NULL: what the configuration says */
	int tell_fd;                    /* daemonize.h; -1: in the foreground */
	bool foreground;
	int resume_fd;                  /* state of the image before; -1: a fresh start */
	const char *rolled_back;        /* why an upgrade came back to us; NULL: it did not */
};

struct master {
	struct ev_loop *loop;
	struct log log;
	struct master_options options;
	struct signals signals;
	struct requests requests;
	ev_prepare act;                 /* the one place that acts on requests */
	int scale_to;                   /* asked by the control socket; 0: nothing */

	struct identity identity;
	struct programs programs;
	struct pid_file pid_file;
	struct notify_socket notify;
	struct control control;
	struct roster roster;
	struct reload reload;
	struct upgrade upgrade;
	struct stop stop;
	struct hint hint;
	struct listeners listeners;
	struct tally tally;
	struct queue_rates queue_rates;
	struct watchdog watchdog;

	struct edition *logs;           /* whose log is ours; outlives the last generation */
	double started_at;              /* monotonic */
	int64_t started_wall_ms;
	bool settled;                   /* pid file, sockets and log are open, privileges dropped */
	bool ready;                     /* the first generation was committed */
	char *start_failure;            /* what whoever started us is told at the end; NULL: it went well */
	int exit_status;
};

/* The whole life; the exit status. */
int master_run(const struct master_options *options);

enum phase master_phase(const struct master *master);
/* Pid file, sockets, log and privileges, from the first configuration. */
bool master_settle(struct master *master, struct edition *edition, struct error *err);
/* Logs where an edition says from now on. */
void master_log_to(struct master *master, struct edition *edition);
/* The first generation runs. */
void master_is_ready(struct master *master);
/* The start failed: stops, and says why where it is heard. */
void master_failed_start(struct master *master, const char *why);
/* A worker of generation says how many workers the backlog is worth; nothing is done while there is something else to
 * be done, as it says so again. */
void master_scale_by_backlog(struct master *master, struct generation *generation, unsigned wanted, uint64_t depth);
/* "3 workers of generation 2", for the service manager. */
void master_notify_state(struct master *master, const char *prefix);

#endif
