/* SPDX-License-Identifier: Apache-2.0 */
/* aws_place.h - where the calls of a service go: its endpoint, taken apart once and not for each call.
 *
 * Which endpoint that is, aws_settings.h decides. */
#ifndef AWS_AWS_PLACE_H
#define AWS_AWS_PLACE_H

#include "aws/aws.h"
#include "aws/aws_settings.h"
#include "aws/endpoint.h"
#include "base/error.h"
#include "base/list.h"

enum { AWS_PLACES = 32 };               /* kept while nobody calls there: queues may have endpoints of their own */

struct aws_place {
	struct list link;               /* aws_places::all */
	enum aws_service service;
	char *asked_region, *origin;    /* as the callers gave them; origin NULL: none */
	char *region;                   /* in the signature */
	struct endpoint endpoint;
	unsigned holders;
};

struct aws_places {
	struct list all;                /* the one last asked for first */
	unsigned count;
};

void aws_places_init(struct aws_places *places);
/* Nobody holds one any more. */
void aws_places_finish(struct aws_places *places);
/* Held for the caller, until aws_place_drop().  NULL: there is no such place, as aws_settings_endpoint() says.  origin
 * may be NULL. */
struct aws_place *aws_place_hold(struct aws_places *places, const struct aws_settings *settings,
	enum aws_service service, const char *region, const char *origin, struct error *err);
/* NULL is allowed. */
void aws_place_drop(struct aws_place *place);

#endif
