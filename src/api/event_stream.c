/* SPDX-License-Identifier: Apache-2.0 */
/* event_stream.c - see event_stream.h.
 *
 * libmicrohttpd does not look at a suspended connection: one whose reader has closed it would be kept until
 * something is written, and enough of them would leave no connection for others.  So while a stream waits its
 * descriptor is watched here. */
#include "api/event_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { STREAM_BLOCK_BYTES = 16 << 10 };
static const double ping_s = 15;

static struct ev_loop *loop_of(const struct event_stream *stream)
{
	return stream->listener->options.loop;
}

void event_stream_wake(struct event_stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = false;
	ev_io_stop(loop_of(stream), &stream->readable);
	MHD_resume_connection(stream->connection);
	listener_kick(stream->listener);
}

void event_stream_end(struct event_stream *stream)
{
	stream->ended = true;
	event_stream_wake(stream);
}

bool event_stream_is_silent(const struct event_stream *stream)
{
	return clock_monotonic_s() - stream->spoke_s >= ping_s;
}

void event_stream_ping(struct event_stream *stream)
{
	buf_add_text(&stream->out, ": still here\n\n");
}

/* The end is looked for without being read.  A reader that says something instead (a further request, a TLS
 * record) is not watched until the next wait: nobody reads it meanwhile, so it would stay readable. */
static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct event_stream *stream = container_of(io, struct event_stream, readable);
	char byte;
	ssize_t n = recv(io->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	ev_io_stop(loop, io);
	if (n > 0)
		return;
	stream->gone = true;
	event_stream_wake(stream);
}

static void suspend(struct event_stream *stream)
{
	stream->suspended = true;
	MHD_suspend_connection(stream->connection);
	ev_io_start(loop_of(stream), &stream->readable);
}

static ssize_t on_pull(void *arg, uint64_t position, char *bytes, size_t room)
{
	struct event_stream *stream = arg;
	size_t size;

	(void)position;
	if (stream->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (stream->out.size == 0 && !stream->ended)
		stream->fill(stream->arg);
	if (stream->out.size == 0 && stream->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (stream->out.size == 0) {
		suspend(stream);
		return 0;
	}
	size = stream->out.size < room ? stream->out.size : room;
	memcpy(bytes, stream->out.bytes, size);
	buf_consume(&stream->out, size);
	stream->spoke_s = clock_monotonic_s();
	return (ssize_t)size;
}

static void on_over(void *arg)
{
	struct event_stream *stream = arg;

	ev_io_stop(loop_of(stream), &stream->readable);
	buf_finish(&stream->out);
	if (stream->open != NULL)
		--*stream->open;
	stream->over(stream->arg);
}

bool event_stream_may_begin(struct auth *auth, struct request *request)
{
	const unsigned *open = auth_streams(auth, request);

	if (open == NULL || request->token->streams == 0 || *open < request->token->streams)
		return true;
	request_answer_error(request, MHD_HTTP_TOO_MANY_REQUESTS, "too many streams", "this token may have %u open at once",
		request->token->streams);
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_RETRY_AFTER, "10");
	return false;
}

void event_stream_answer(struct event_stream *stream, struct auth *auth, struct request *request, size_t limit,
	event_stream_fill_fn *fill, event_stream_over_fn *over, void *arg)
{
	struct MHD_Response *response;

	*stream = (struct event_stream){ .listener = request->listener, .connection = request->connection, .fill = fill, .over = over,
		.arg = arg, .spoke_s = clock_monotonic_s(), .open = auth_streams(auth, request) };
	if (stream->open != NULL)
		++*stream->open;
	buf_init(&stream->out, limit);
	ev_io_init(&stream->readable, on_readable,
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, EV_READ);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, on_pull, stream, on_over);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	request_answer(request, MHD_HTTP_OK, response);
}
