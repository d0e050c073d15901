/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - the simulated services: how a request names them and what they can do. */
#ifndef AWSSIM_SERVICE_H
#define AWSSIM_SERVICE_H

#include <stdbool.h>

struct call;

typedef void action_fn(struct call *);

struct action {
	const char *name;
	action_fn *run;         /* fills call->out or call->error, or makes the call wait */
	bool anonymous;         /* needs no signature */
};

struct service {
	const char *name;               /* also in the credential scope */
	const char *target_prefix;      /* of X-Amz-Target; NULL: no JSON protocol */
	const char *json_type;          /* Content-Type of JSON answers */
	const char *query_version;      /* Version= of the query protocol; NULL: not spoken */
	const char *query_namespace;    /* of XML answers */
	const char *error_namespace;    /* of `__type`; NULL: the bare shape */
	const char *throttle_shape;
	const struct action *actions;   /* ends with a NULL name */
};

extern const struct service sqs_service, ecs_service, logs_service, sns_service, sts_service;
extern const struct service metadata_service;   /* its actions are found by metadata_action() */

/* The metadata action that a path stands for; NULL: none. */
const struct action *metadata_action(const char *method, const char *path);

#endif
