/* SPDX-License-Identifier: Apache-2.0 */
/* bare_call.h - signed AWS calls over libcurl's multi interface, and nothing else.
 *
 * What the calls of a worker must cost at least: one process, one epoll, kept connections, handles and
 * headers that are made once.  There is no retry, no limit, no log and no JSON library; a call that fails
 * ends the process.  It shares no code with gantry but allocation, so that it does not get faster with it. */
#ifndef BENCH_BARE_CALL_H
#define BENCH_BARE_CALL_H

#include <stdbool.h>
#include <stddef.h>

struct bare;
struct bare_call;

struct bare_options {
	const char *endpoint;           /* "http://127.0.0.1:4566" */
	const char *region, *access_key, *secret_key;
	bool new_handles;               /* handle and headers anew for each call, as programs usually do it */
};

/* The answer of a call that got 200, lent; the call may be started again from here. */
typedef void bare_done_fn(void *arg, struct bare_call *call, const char *body);

struct bare *bare_create(const struct bare_options *options);
void bare_destroy(struct bare *bare);
/* Makes calls until bare_stop(). */
void bare_run(struct bare *bare);
void bare_stop(struct bare *bare);

/* A call that can be made again and again, one at a time.  service is as signed ("sqs"), target what
 * X-Amz-Target says. */
struct bare_call *bare_call_create(struct bare *bare, const char *service, const char *target, bare_done_fn *done,
	void *arg);
/* Also in the middle of a call. */
void bare_call_destroy(struct bare_call *call);
/* body is lent until the call is done. */
void bare_call_start(struct bare_call *call, const char *body);
bool bare_call_busy(const struct bare_call *call);

#endif
