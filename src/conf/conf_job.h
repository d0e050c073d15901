/* SPDX-License-Identifier: Apache-2.0 */
/* conf_job.h - a message as a job under one configuration.
 *
 * What job_message.h reads out of a body, with what the configuration adds: the queue's mapping, its
 * default deployer, and the deployer's lock.  Workers, the API and gantryctl admit the same job for the
 * same message. */
#ifndef CONF_CONF_JOB_H
#define CONF_CONF_JOB_H

#include <stddef.h>

#include "base/error.h"
#include "conf/conf.h"
#include "job/job.h"

/* A body that came through queue; message_id is the queue's own id, NULL when the body must name one.
 * NULL with ERROR_INVALID when it cannot be understood: the text says which member and why. */
struct job *conf_job_parse(const struct conf *conf, const struct conf_queue *queue, const char *message_id,
	const char *body, size_t body_bytes, struct error *err);

#endif
