/* SPDX-License-Identifier: Apache-2.0 */
/* job_message.h - a message's body, understood as a job (gantry(7)).
 *
 * An id is 1 to 128 printable ASCII characters without spaces, as it is put into URLs, file names,
 * headers and log lines.  delay is a duration text ("30s") or a number of seconds.  A member that
 * is null is one that is not given.  cd, commit_hash and ref_name are taken for directory, commit
 * and ref.  Names in environment must not begin with GANTRY_, which are ours to set.
 *
 * Unknown members are kept in the body for templates.  What a message asks for beyond its project
 * and what its deployer does not allow makes the job fail before its launch: that is decided by
 * job_message_allowed(), not while parsing. */
#ifndef JOB_JOB_MESSAGE_H
#define JOB_JOB_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/texts.h"
#include "job/job.h"

enum {
	LIMIT_MESSAGE_BODY_BYTES = 1 << 20,     /* SQS: 1 MiB a message */
	LIMIT_MESSAGE_ENVIRONMENT = 256,        /* names */
	LIMIT_MESSAGE_VARIABLE_BYTES = 256,     /* a name in environment */
	LIMIT_MESSAGE_COMMAND = 256,            /* words, or shell lines */
	LIMIT_MESSAGE_REF_BYTES = 1024,         /* commit, ref, directory */
	LIMIT_MESSAGE_NOTIFY = 16,
	LIMIT_MESSAGE_DELAY_S = 366 * 86400,
};

/* What the queue knows of a message before it is read; all lent. */
struct job_message_source {
	const char *queue;              /* name in the configuration */
	const char *message_id;         /* the queue's own id; NULL when the body must name one */
	const char *default_deployer;   /* may be NULL */
	/* Member -> template over the body; empty or NULL: the body is the job message.  Of a body that
	 * is a JSON object the other members are kept.  A template that expands to nothing removes its
	 * member; what expands to a JSON number, array or object is taken as that where the member wants it. */
	const struct pairs *mapping;
};

/* Parses and checks a body and fills a new job: id (else "<queue>:<message_id>"), project,
 * deployer, priority, not_before, commit, ref, stage, queue and body (the job message as JSON text).
 * A name "<queue>:<message_id>" that is no sound id is replaced by its digest.  The lock is left to the caller.  NULL with ERROR_INVALID when it cannot be understood: the text
 * names the member and says what was expected. */
struct job *job_message_parse(const char *body, size_t body_bytes, const struct job_message_source *source,
	struct error *err);
/* The payload of a job's stored body; a new reference; NULL when it is no JSON object. */
json_t *job_message_payload(const struct job *job);
/* A member under its name or its alias, lent; NULL when it is not given or null. */
json_t *job_message_member(const json_t *payload, const char *name);
/* False with ERROR_INVALID and the member's name when the payload asks for what allow denies. */
bool job_message_allowed(const json_t *payload, const struct job_allow *allow, struct error *err);
/* The inner message of an SNS envelope ({"Type":"Notification","Message":...}), the caller's to
 * free; NULL when the body is none. */
char *job_message_unwrap_sns(const char *body, size_t body_bytes, struct error *err);

#endif
