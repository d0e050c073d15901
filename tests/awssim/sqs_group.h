/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_group.h - FIFO groups, and what FIFO queues remember for five minutes. */
#ifndef AWSSIM_SQS_GROUP_H
#define AWSSIM_SQS_GROUP_H

#include "sqs_queue.h"

struct sqs_group {
	struct table_node by_name;
	struct list ready;              /* queue->ready_groups */
	struct list messages;           /* in order, those in flight included */
	unsigned in_flight;
	char id[];
};

/* Messages enter at their place in the order; the group is made when it is new. */
void sqs_group_enter(struct sqs_queue *, struct sqs_message *);
/* Frees the group when it was the last one. */
void sqs_group_leave(struct sqs_queue *, struct sqs_message *);
/* After any change of a message's state: may a receive take from this group? */
void sqs_group_update(struct sqs_queue *, struct sqs_group *);

/* NULL when this deduplication id is new or was forgotten. */
const struct sqs_sent *sqs_dedup_find(struct sqs_queue *, const char *group, const char *dedup_id);
void sqs_dedup_add(struct sqs_queue *, const char *group, const char *dedup_id,
		   const struct sqs_sent *);
void sqs_dedup_clear(struct sqs_queue *);

/* Receive attempts: what was taken under this id, if it can be given again. */
unsigned sqs_attempt_find(struct sqs_queue *, const char *attempt_id,
			  struct sqs_message *taken[SQS_RECEIVE_MAX]);
void sqs_attempt_add(struct sqs_queue *, const char *attempt_id, struct sqs_message *const *taken,
		     unsigned count);
void sqs_attempt_clear(struct sqs_queue *);

#endif
