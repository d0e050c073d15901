/* SPDX-License-Identifier: Apache-2.0 */
/* listener.h - one listening socket that speaks HTTP, on the loop: libmicrohttpd behind it.
 *
 * The socket is the master's and shared by generations; so to end means to stop accepting, to finish what
 * is under way, and to leave the socket open for the next.  What a request means is the handler's. */
#ifndef API_LISTENER_H
#define API_LISTENER_H

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"

struct request;

/* A request has arrived whole; the handler answers now or later (request.h). */
typedef void listener_handle_fn(void *arg, struct request *request);
/* Its head has arrived: false when it was answered already, so that its body is not read. */
typedef bool listener_admit_fn(void *arg, struct request *request);
/* Its answer is known. */
typedef void listener_answered_fn(void *arg, struct request *request);
/* A connection or request has gone. */
typedef void listener_idle_fn(void *arg);

struct listener_options {
	struct ev_loop *loop;
	const struct log *log;
	int fd;                         /* lent, listening, non-blocking */
	unsigned connections;           /* at once; more wait in the kernel's backlog */
	double idle_s;                  /* a connection that is silent for this long is closed */
	double head_s;                  /* from its beginning, or the last answer, to a whole request */
	size_t body_limit;
	const char *certificate, *key;  /* PEM texts; NULL: no TLS */
	listener_admit_fn *admit;
	listener_handle_fn *handle;
	listener_answered_fn *answered;
	listener_idle_fn *idle;
	void *arg;
};

struct listener {
	struct listener_options options;
	struct log log;
	struct MHD_Daemon *daemon;
	ev_io readable;                 /* MHD's epoll descriptor */
	ev_prepare prepare;             /* asks MHD's timeout before each wait */
	ev_timer timer;
	ev_timer overdue;               /* the first connection that is too slow */
	struct list peers;              /* struct peer: open connections, the oldest deadline first */
	struct list leaving;            /* struct peer: those that will say no more, likewise */
	int hangups_fd;                 /* epoll: tells of these */
	ev_io hangups;
	struct list requests;           /* under way */
	size_t peer_count;
	bool kicked;                    /* to be run before the next wait */
	bool local;                     /* a Unix socket */
	bool quiet;                     /* draining: accepts no more */
};

/* Whether certificate and key, PEM texts, are usable and belong together; listens to nothing. */
bool listener_check_tls(const char *certificate, const char *key, struct error *err);
struct listener *listener_create(const struct listener_options *options, struct error *err);
/* Ends all connections. */
void listener_destroy(struct listener *listener);
/* Accepts no more; connections get "Connection: close" with their next answer.  The socket stays open. */
void listener_quiesce(struct listener *listener);
/* Ends connections on which nothing is under way. */
void listener_close_idle(struct listener *listener);
/* MHD has something to do that its descriptor does not show: after a resume. */
void listener_kick(struct listener *listener);

#endif
