/* SPDX-License-Identifier: Apache-2.0 */
/* aws_place.c - see aws_place.h. */
#include "aws/aws_place.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void place_destroy(struct aws_place *place)
{
	list_remove(&place->link);
	free(place->asked_region);
	free(place->origin);
	free(place->region);
	endpoint_finish(&place->endpoint);
	free(place);
}

void aws_places_init(struct aws_places *places)
{
	*places = (struct aws_places){ 0 };
	list_init(&places->all);
}

void aws_places_finish(struct aws_places *places)
{
	struct aws_place *place, *next;

	list_each_safe(place, next, &places->all, link)
		place_destroy(place);
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct aws_place *find(struct aws_places *places, enum aws_service service, const char *region, const char *origin)
{
	struct aws_place *place;

	list_each(place, &places->all, link)
		if (place->service == service && strcmp(place->asked_region, region) == 0 && is_same(place->origin, origin))
			return place;
	return NULL;
}

/* The unused one that was asked for longest ago. */
static void make_room(struct aws_places *places)
{
	struct aws_place *place, *oldest = NULL;

	if (places->count < AWS_PLACES)
		return;
	list_each(place, &places->all, link)
		if (place->holders == 0)
			oldest = place;
	if (oldest != NULL) {
		place_destroy(oldest);
		places->count--;
	}
}

static struct aws_place *add(struct aws_places *places, const struct aws_settings *settings, enum aws_service service,
	const char *region, const char *origin, struct error *err)
{
	struct endpoint endpoint;
	struct aws_place *place;

	if (!aws_settings_endpoint(settings, service, region, origin, &endpoint, err))
		return NULL;
	make_room(places);
	place = xnew(struct aws_place);
	place->service = service;
	place->asked_region = xstrdup(region);
	place->origin = xstrdup(origin);
	place->region = xstrdup(endpoint_signing_region(region));
	place->endpoint = endpoint;
	list_init(&place->link);
	places->count++;
	return place;
}

struct aws_place *aws_place_hold(struct aws_places *places, const struct aws_settings *settings,
	enum aws_service service, const char *region, const char *origin, struct error *err)
{
	struct aws_place *place = find(places, service, region, origin);

	if (place == NULL)
		place = add(places, settings, service, region, origin, err);
	if (place == NULL)
		return NULL;
	list_remove(&place->link);
	list_prepend(&places->all, &place->link);
	place->holders++;
	return place;
}

void aws_place_drop(struct aws_place *place)
{
	if (place != NULL)
		place->holders--;
}
