/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - see conf.h. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf_schema.h"
#include "conf/conf_value.h"

void conf_destroy(struct conf *conf)
{
	if (conf == NULL)
		return;
	conf_section_finish(conf_schema, conf);
	free(conf);
}

const struct conf_queue *conf_find_queue(const struct conf *conf, const char *name)
{
	for (size_t i = 0; name != NULL && i < conf->queue_count; i++) {
		if (strcmp(conf->queues[i].name, name) == 0)
			return &conf->queues[i];
	}
	return NULL;
}

bool conf_is_events_queue(const struct conf *conf, const char *name)
{
	return conf->ecs.events != NULL && strcmp(conf->ecs.events, name) == 0;
}

const struct conf_deployer *conf_find_deployer(const struct conf *conf, const char *name)
{
	for (size_t i = 0; name != NULL && i < conf->deployer_count; i++) {
		if (strcmp(conf->deployers[i].name, name) == 0)
			return &conf->deployers[i];
	}
	return NULL;
}
