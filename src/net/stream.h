/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - bytes to and from a peer, on the loop: TCP, TLS over it, or a Unix socket.
 *
 * Connecting, names and the TLS handshake never block and end within a deadline.  Events come from the
 * loop only, and each is the last thing done with the stream, so the owner may close it in any of them. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct stream;

enum {
	STREAM_READ_BYTES = 64 << 10,           /* most that one event carries */
	LIMIT_STREAM_UNSENT_BYTES = 64 << 20,
};

struct stream_target {
	const char *host;               /* a name or an address; NULL: unix_path */
	unsigned port;
	const char *unix_path;
	SSL_CTX *tls;                   /* NULL: none; else the certificate must be host's */
	double timeout_s;               /* to open */
};

struct stream_events {
	void (*opened)(void *arg);
	void (*received)(void *arg, const char *bytes, size_t size);
	/* By the peer, or for a failure; once.  stream_close() is still the owner's to call. */
	void (*closed)(void *arg, const struct error *err);
};

/* A context that trusts the system's certificates (and SSL_CERT_FILE); NULL on error. */
SSL_CTX *stream_tls_create(struct error *err);
/* Copies the target, but for tls, which must outlive the stream. */
struct stream *stream_open(struct ev_loop *loop, const struct stream_target *target,
	const struct stream_events *events, void *arg);
/* Frees the stream; no event after this.  NULL is allowed. */
void stream_close(struct stream *stream);
/* Queues bytes; they go out together in the next turn.  Also before it is open.  False: over the limit. */
bool stream_send(struct stream *stream, const void *bytes, size_t size);
/* How many bytes, of all that were queued so far, the kernel (or TLS) has taken. */
uint64_t stream_sent(const struct stream *stream);

#endif
