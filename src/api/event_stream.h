/* SPDX-License-Identifier: Apache-2.0 */
/* event_stream.h - an answer that goes on for as long as there is news: server-sent events for one reader.
 *
 * The reader sets the pace: it is filled when all it was given is on its way, so a slow one holds no more than
 * one filling.  One that has nothing to be told waits, and costs nothing until it is woken; that it has gone is
 * noticed all the same. */
#ifndef API_EVENT_STREAM_H
#define API_EVENT_STREAM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/auth.h"
#include "api/request.h"
#include "base/buf.h"

struct event_stream;

/* Puts something into stream->out, or calls event_stream_end(), or does neither: then it waits to be woken. */
typedef void event_stream_fill_fn(void *arg);
/* The stream is over; its owner frees what it is in. */
typedef void event_stream_over_fn(void *arg);

struct event_stream {
	struct buf out;                 /* made, not sent yet */
	struct listener *listener;
	struct MHD_Connection *connection;
	event_stream_fill_fn *fill;
	event_stream_over_fn *over;
	void *arg;
	unsigned *open;                 /* counts those of the token; NULL: there is none */
	double spoke_s;                 /* monotonic: when something was sent last */
	ev_io readable;                 /* while it waits: its reader has hung up, or says something */
	bool suspended;
	bool ended;                     /* once out is sent */
	bool gone;                      /* nobody reads */
};

/* False after a 429: the token of who asks has as many open as it may. */
bool event_stream_may_begin(struct auth *auth, struct request *request);
/* Answers request with a stream whose fillings have at most limit bytes. */
void event_stream_answer(struct event_stream *stream, struct auth *auth, struct request *request, size_t limit,
	event_stream_fill_fn *fill, event_stream_over_fn *over, void *arg);
/* There may be news. */
void event_stream_wake(struct event_stream *stream);
void event_stream_end(struct event_stream *stream);
/* It is time to say something, so that proxies do not take it for dead; event_stream_ping() says it. */
bool event_stream_is_silent(const struct event_stream *stream);
void event_stream_ping(struct event_stream *stream);

#endif
