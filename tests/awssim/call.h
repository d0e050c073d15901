/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - one AWS call, from its request to its answer.
 * Here the protocols (AWS JSON, query), signatures, faults and counting are; an action sees
 * only `in` and fills `out` or `error`.  An action that can't finish yet says call_wait() and
 * later call_finish(), unless its cancel function told it before that the client has gone. */
#ifndef AWSSIM_CALL_H
#define AWSSIM_CALL_H

#include "aws_error.h"
#include "fault.h"
#include "http_server.h"
#include "service.h"
#include "simulator.h"

#include <jansson.h>

struct call;

typedef void call_cancel_fn(void *arg);

enum call_protocol {
	CALL_JSON,
	CALL_QUERY,
	CALL_PLAIN,             /* metadata endpoints: a path, and text or JSON back */
};

struct call {
	struct simulator *sim;
	struct http_exchange *exchange; /* NULL: the client has gone */
	const struct service *service;
	const struct action *action;
	enum call_protocol protocol;
	json_t *in, *out;               /* ours; out is an object from the start, or text instead */
	struct text raw;                /* the answer as JSON text, instead of out, when not empty */
	struct aws_error error;
	char request_id[UUID_ROOM];
	struct fault *fault;            /* NULL: nothing goes wrong */
	struct alarm delay;             /* a late answer waits for this */
	bool waiting;
	call_cancel_fn *cancel;
	void *cancel_arg;
};

/* Takes a request that is not one of the simulator's own (admin, metadata). */
void call_begin(struct simulator *, struct http_exchange *);
void call_wait(struct call *, call_cancel_fn *, void *arg);
void call_finish(struct call *);

static inline bool call_fault_is(const struct call *call, enum fault_kind kind)
{
	return call->fault != NULL && call->fault->kind == kind;
}

#endif
