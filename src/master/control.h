/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the control socket: ipc/control_line.h spoken by the master.
 *
 * Requests set bits like signals do; who wants the verdict waits for it.  A client is root or of our
 * own uid, limited in what it may send and in how long it may be silent, and never waited for. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "ipc/control_line.h"
#include "master/local_socket.h"

struct master;

enum control_wait {
	CONTROL_WAIT_NONE,
	CONTROL_WAIT_NEXT_RELOAD,       /* for the one that has not begun */
	CONTROL_WAIT_RELOAD,            /* for the one under way */
	CONTROL_WAIT_UPGRADE,
	CONTROL_WAIT_STOP,
	CONTROL_WAITS
};

struct control_client {
	struct list link;               /* control->clients */
	struct control *control;
	int fd;
	ev_io readable, writable;
	ev_timer idle;                  /* not while it waits for a verdict */
	struct buf in, out;
	size_t sent;                    /* of out */
	enum control_wait wait;
	bool stranger;                  /* whatever it asks, the answer is no */
	bool ended;                     /* it will send nothing more, or is to be closed when out is sent */
};

struct control {
	struct master *master;
	char *path;                     /* NULL: not open */
	struct local_name name;
	int fd;
	ev_io acceptable;
	ev_timer paused;                /* after a failed accept */
	struct list clients;
	size_t client_count;
};

void control_init(struct control *control, struct master *master);
/* Binds the socket; only with the pid file's lock held, as a socket that nobody answers is replaced. */
bool control_open(struct control *control, const char *path, struct error *err);
/* A listening socket, or a waiting client, that came through an exec. */
void control_inherit(struct control *control, const char *path, int fd, struct local_name name);
void control_inherit_client(struct control *control, int fd, enum control_wait wait);
/* Removes the socket; clients that are there stay.  Only with the pid file's lock held, as the next daemon
 * may bind the same name from then on. */
void control_withdraw(struct control *control);
/* Closes all. */
void control_close(struct control *control);

/* The reload that begins now is the one the waiting asked for. */
void control_adopt_reload(struct control *control);
void control_answer_reload(struct control *control, enum control_status status, const char *why);
void control_defer_reload(struct control *control, const char *why);
/* The upgrade failed: its clients get this.  When it took over they wait for the reload instead. */
void control_answer_upgrade(struct control *control, enum control_status status, const char *why);
void control_upgrade_done(struct control *control);
/* Nothing but a stop can be waited for any more. */
void control_answer_stopping(struct control *control);
/* The last words, sent as far as they fit. */
void control_answer_stopped(struct control *control);

/* control_commands.c: answers one line into client->out, or leaves the client waiting. */
void control_command(struct control_client *client, const char *text, size_t size);
/* Appends the end line; what there is to say of a success comes in a line "note text=..." before it. */
void control_end(struct control_client *client, enum control_status status, const char *why);
/* control_status.c: the data lines of status. */
void control_status_write(const struct master *master, struct buf *out);

#endif
