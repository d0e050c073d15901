/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - an answer that goes on for as long as there is news: server-sent events for one reader.
 *
 * The reader sets the pace: it is filled when all it was given is on its way, so a slow one holds no more than
 * one filling.  One that has nothing to be told waits, and costs nothing until it is woken; that it has gone is
 * noticed all the same. */
#ifndef API_STREAM_H
#define API_STREAM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/request.h"
#include "base/buf.h"

struct stream;

/* Puts something into stream->out, or calls stream_end(), or does neither: then it waits to be woken. */
typedef void stream_fill_fn(void *arg);
/* The stream is over; its owner frees what it is in. */
typedef void stream_over_fn(void *arg);

struct stream {
	struct buf out;                 /* made, not sent yet */
	struct listener *listener;
	struct MHD_Connection *connection;
	stream_fill_fn *fill;
	stream_over_fn *over;
	void *arg;
	double spoke_s;                 /* monotonic: when something was sent last */
	ev_io readable;                 /* while it waits: its reader has hung up, or says something */
	bool suspended;
	bool ended;                     /* once out is sent */
	bool gone;                      /* nobody reads */
};

/* Answers request with a stream whose fillings have at most limit bytes. */
void stream_answer(struct stream *stream, struct request *request, size_t limit, stream_fill_fn *fill, stream_over_fn *over,
	void *arg);
/* There may be news. */
void stream_wake(struct stream *stream);
void stream_end(struct stream *stream);
/* It is time to say something, so that proxies do not take it for dead; stream_ping() says it. */
bool stream_is_silent(const struct stream *stream);
void stream_ping(struct stream *stream);

#endif
