/* SPDX-License-Identifier: Apache-2.0 */
/* hand.c - see hand.h. */
#include "ctl/hand.h"

#include <stdio.h>

#include "aws/aws.h"

bool hand_open(struct hand *hand, struct ctl *ctl, const char *queue_name, const struct queue_events *events)
{
	const struct conf *conf = ctl_conf(ctl);
	const struct conf_queue *queue_conf;
	struct queue_env env = { .log = &hand->log };
	struct error err;

	*hand = (struct hand){ .ctl = ctl };
	if (conf == NULL)
		return false;
	queue_conf = conf_find_queue(conf, queue_name);
	if (queue_conf == NULL) {
		fprintf(stderr, "gantryctl: no queue \"%s\" in %s\n", queue_name, ctl->file);
		return false;
	}
	log_set_level(LOG_LEVEL_WARN);
	log_init(&hand->log, NULL, "gantryctl");
	hand->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	hand->aws = aws_create(hand->loop, &hand->log, &conf->aws, &err);
	env.loop = hand->loop;
	env.aws = hand->aws;
	if (hand->aws != NULL)
		hand->queue = queue_create(queue_conf, &env, events, &err);
	if (hand->queue == NULL)
		fprintf(stderr, "gantryctl: queue %s: %s\n", queue_name, err.text);
	return hand->queue != NULL;
}

void hand_close(struct hand *hand)
{
	queue_destroy(hand->queue);
	aws_destroy(hand->aws);
	if (hand->loop != NULL)
		ev_loop_destroy(hand->loop);
}
