/* SPDX-License-Identifier: Apache-2.0 */
/* submit.h - a job message from HTTP, on its way into a queue.
 *
 * Into the store's own queue it is admitted at once; into another queue it is sent, and is a job when a
 * worker has received it.  Either way it is accepted when the answer says so, and not before. */
#ifndef API_SUBMIT_H
#define API_SUBMIT_H

#include "api/api.h"
#include "api/request.h"
#include "queue/queue.h"

struct submitter;

/* Opens nothing yet: connections are made when they are needed.  NULL when a queue's configuration is unusable. */
struct submitter *submitter_create(struct api *api, struct error *err);
/* Answers what is left with ERROR_TEMPORARY.  The store must be closed before: its completions end here. */
void submitter_destroy(struct submitter *submitter);

/* One per configured queue, in that order; lent. */
struct queue *const *submitter_queues(const struct submitter *submitter);

struct submitted {
	const struct job *job;          /* as admitted or sent; lent */
	bool known;                     /* the id was there before: job is its record now */
	bool sent;                      /* into another queue: state and position are not known */
	size_t ahead;                   /* of its key; 0: none, or unknown */
	const char *queue;
};
/* err ERROR_INVALID: the message; ERROR_REFUSED: the queue is not there or not ours; else: later. */
typedef void submitted_fn(void *arg, const struct submitted *submitted, const struct error *err);

/* queue_name NULL: the configured one.  The body is copied.  A message without an id gets one.  request's project
 * scope is checked: ERROR_REFUSED with code "forbidden".  deployer (may be NULL) stands in for one that the message
 * does not name. */
void submit(struct submitter *submitter, const struct request *request, const char *queue_name, const char *deployer,
	const char *body, size_t body_bytes, submitted_fn *done, void *arg);

#endif
