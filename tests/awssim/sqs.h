/* SPDX-License-Identifier: Apache-2.0 */
/* sqs.h - all queues, and what waits for their messages. */
#ifndef AWSSIM_SQS_H
#define AWSSIM_SQS_H

#include "sqs_queue.h"

struct sqs {
	struct world *world;
	struct table queues_by_name;
	struct list queues;
	struct list dirty;              /* queues that may have something for their waiters */
	struct list moves;              /* message move tasks, newest first */
	ev_prepare serve;
	uint32_t queue_serial;
	uint64_t sequence;              /* the last one given */
	double duplicate;               /* chance that a standard message is delivered twice */
	double resurrect;               /* chance that a deleted standard message comes again */
	unsigned long empty_receives;
};

struct sqs *sqs_create(struct world *);
void sqs_destroy(struct sqs *);
void sqs_clear(struct sqs *);           /* the queues stay, their messages don't */

struct sqs_queue *sqs_find(struct sqs *, const char *name);
struct sqs_queue *sqs_find_url(struct sqs *, const char *url);
struct sqs_queue *sqs_find_arn(struct sqs *, const char *arn);
/* Its waiters are looked at before the loop sleeps again. */
void sqs_mark_dirty(struct sqs_queue *);
uint64_t sqs_next_sequence(struct sqs *);
void sqs_sequence_number(uint64_t sequence, char number[SQS_SEQUENCE_ROOM]);    /* as clients see it */

/* Attributes as SetQueueAttributes has them: an object of strings. */
bool sqs_settings_apply(struct sqs_settings *, json_t *attributes, struct aws_error *);
void sqs_settings_finish(struct sqs_settings *);
bool sqs_settings_differ(struct sqs_queue *, json_t *attributes);
json_t *sqs_queue_attributes(struct sqs_queue *, const json_t *names);  /* new object */

/* Long polls: sqs_receive.c answers them. */
void sqs_serve_waiters(struct sqs_queue *);
void sqs_cancel_waiters(struct sqs_queue *);

/* Message move tasks: sqs_move.c. */
struct sqs_move *sqs_move_start(struct sqs *, struct sqs_queue *source,
				const char *destination_arn, json_int_t per_s, struct aws_error *);
const char *sqs_move_handle(const struct sqs_move *);
bool sqs_move_cancel(struct sqs *, const char *handle, json_int_t *moved, struct aws_error *);
json_t *sqs_move_list(struct sqs *, const struct sqs_queue *source, json_int_t max);
void sqs_move_forget(struct sqs *, const struct sqs_queue *);   /* NULL: all */

#endif
