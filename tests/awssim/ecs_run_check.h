/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_run_check.h - is this RunTask request one that ECS would take? */
#ifndef AWSSIM_ECS_RUN_CHECK_H
#define AWSSIM_ECS_RUN_CHECK_H

#include "aws_error.h"
#include "text.h"

#include <stddef.h>

enum {
	LIMIT_OVERRIDES_BYTES = 8192,
	LIMIT_STARTED_BY = 128,
	LIMIT_CLIENT_TOKEN = 64,
	LIMIT_TAGS = 50,
	LIMIT_SUBNETS = 16,
	LIMIT_SECURITY_GROUPS = 5,
	LIMIT_STRATEGY = 20,
};

struct ecs_run_request {
	const char *cluster;            /* NULL: default */
	const char *task_definition;
	const char *client_token;       /* NULL: none */
	const char *launch_type;        /* NULL: not said */
	json_t *strategy;               /* NULL: none */
	json_t *subnets;                /* NULL: none */
	struct text *overrides;         /* as JSON, into the caller's text; empty: none */
	json_int_t count;
};

/* Reads what launching needs, all lent by `in` but the overrides, and checks the rest.  overrides is set. */
bool ecs_run_check(struct ecs_run_request *, json_t *in, struct aws_error *);
/* The containers that are overridden have to exist. */
bool ecs_run_check_containers(const json_t *in, const json_t *definition, struct aws_error *);

#endif
