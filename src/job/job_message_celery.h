/* SPDX-License-Identifier: Apache-2.0 */
/* job_message_celery.h - messages of Celery's clients, protocol 2
 * (docs.celeryq.dev/en/stable/internals/protocol.html), as kombu's Redis and SQS transports put them. */
#ifndef JOB_JOB_MESSAGE_CELERY_H
#define JOB_JOB_MESSAGE_CELERY_H

#include <stddef.h>

#include "base/error.h"

/* A task as a job message, JSON text, the caller's to free: its keyword arguments are the members, id is the task's, and
 * so are task (its name) and args (its positional ones) unless an argument is called so; an eta becomes delay.
 * NULL with ERROR_INVALID when the body is no such message, or is not in JSON. */
char *job_message_unwrap_celery(const char *body, size_t body_bytes, struct error *err);

#endif
