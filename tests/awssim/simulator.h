/* SPDX-License-Identifier: Apache-2.0 */
/* simulator.h - the parts of one simulator, put together in awssim.c. */
#ifndef AWSSIM_SIMULATOR_H
#define AWSSIM_SIMULATOR_H

#include "text.h"
#include "world.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum { DEFAULT_SESSION_LIFE_S = 3600 };

struct simulator {
	struct world world;
	struct http_server *http;
	struct key_ring *keys;
	struct faults *faults;
	struct stats *stats;
	struct sqs *sqs;
	struct ecs *ecs;
	struct logs *logs;
	struct identity *identity;
	json_t *published;              /* what SNS was given */
	FILE *record;                   /* NULL: requests are not recorded */
	struct text scratch, headers;   /* an answer is put together here */
	struct text raw;                /* room of the last call's, kept for the next */
	bool no_auth;
};

#endif
