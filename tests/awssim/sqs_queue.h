/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_queue.h - a queue and its messages: who can be received when, and by which handle deleted.
 * Standard queues hand out messages about in order and, if asked to, twice.  FIFO queues hand out
 * a group's messages in order and none of a group while one of it is in flight.  Time here is the
 * simulator's. */
#ifndef AWSSIM_SQS_QUEUE_H
#define AWSSIM_SQS_QUEUE_H

#include "aws_error.h"
#include "list.h"
#include "sqs_receipt.h"
#include "table.h"
#include "world.h"

enum {
	SQS_RECEIVE_MAX = 10,
	SQS_BATCH_MAX = 10,
	SQS_WAIT_MAX_S = 20,
	SQS_VISIBILITY_MAX_S = 12 * 3600,
	SQS_DEDUP_S = 5 * 60,
	SQS_ATTEMPT_S = 5 * 60,
	SQS_IN_FLIGHT_MAX = 120000,
	SQS_BODY_MAX_BYTES = 1024 * 1024,
	SQS_SEQUENCE_ROOM = 24,
	SQS_ID_MAX = 128,               /* of a group's and a deduplication id */
};

enum sqs_state {
	SQS_DELAYED,            /* sent, not to be seen yet */
	SQS_READY,              /* may be received */
	SQS_IN_FLIGHT,          /* received, hidden until visible_ms */
};

struct sqs_message {
	struct list node;               /* standard: queue->ready; FIFO: group->messages */
	struct alarm alarm;             /* end of the delay or of being hidden */
	struct sqs_queue *queue;
	struct sqs_group *group;        /* FIFO; NULL on standard queues */
	enum sqs_state state;
	uint32_t slot;                  /* in queue->slots */
	uint32_t receipt;               /* counts receives; the newest handle names it */
	uint64_t sequence;
	char id[UUID_ROOM];
	char md5[DIGEST_MD5_HEX], attributes_md5[DIGEST_MD5_HEX];       /* "": no attributes */
	json_t *body, *attributes;      /* attributes NULL: none */
	char *group_id, *dedup_id, *trace;      /* NULL: none */
	char *source_arn;               /* of the queue that gave it up to this one; NULL: sent */
	int64_t sent_ms, first_received_ms, received_ms;        /* 0: not yet */
	unsigned receives;
	unsigned receives_elsewhere;    /* of them before it came to this queue */
	uint32_t ledger;
};

struct sqs_settings {
	json_int_t visibility_s, delay_s, retention_s, wait_s, max_bytes;
	bool fifo, content_dedup, group_dedup, group_limit;
	char *redrive_policy;           /* as it was given; NULL: none */
	char *dead_letter_arn;          /* NULL: none */
	json_int_t max_receives;
	json_t *others;                 /* attributes that are kept and change nothing */
};

struct sqs_queue {
	struct sqs *sqs;
	struct table_node by_name;
	struct list peers, dirty;       /* sqs->queues, sqs->dirty */
	char *name, *url, *arn;
	struct sqs_settings settings;
	int64_t created_ms, modified_ms, purged_ms;
	struct sqs_message **slots;     /* all messages; NULL: free */
	uint32_t slot_count, slot_room;
	uint32_t *free_slots;           /* room for slot_room of them */
	uint32_t free_count;
	size_t counts[3];               /* by enum sqs_state */
	uint32_t serial;                /* in receipt handles */
	struct list ready;              /* standard */
	struct table groups;            /* FIFO */
	struct list ready_groups;       /* those that a receive may take from */
	struct table dedup;
	struct list dedup_order;        /* oldest first */
	struct list attempts;           /* oldest first */
	struct list waiters;            /* long polls, the first to be served first */
};

/* What a SendMessage brings; everything is lent. */
struct sqs_draft {
	json_t *body, *attributes;
	const char *group_id, *dedup_id, *trace;
	json_int_t delay_s;
};

struct sqs_sent {
	char id[UUID_ROOM];
	char md5[DIGEST_MD5_HEX], attributes_md5[DIGEST_MD5_HEX];
	uint64_t sequence;              /* 0: standard */
};

struct sqs_taking {
	unsigned max;
	json_int_t visibility_s;        /* -1: the queue's */
	const char *attempt_id;         /* NULL: none */
};

struct sqs_queue *sqs_queue_create(struct sqs *, const char *name);
void sqs_queue_destroy(struct sqs_queue *);     /* waiters have to be gone */
void sqs_queue_purge(struct sqs_queue *);

/* The draft has been checked.  A duplicate within five minutes gives what the first one got. */
void sqs_queue_send(struct sqs_queue *, const struct sqs_draft *, struct sqs_sent *);
/* Gives the number taken; the messages stay the queue's. */
unsigned sqs_queue_take(struct sqs_queue *, const struct sqs_taking *,
			struct sqs_message *taken[SQS_RECEIVE_MAX]);
bool sqs_queue_delete(struct sqs_queue *, const char *handle, struct aws_error *);
bool sqs_queue_set_visibility(struct sqs_queue *, const char *handle, json_int_t visibility_s,
			      struct aws_error *);
/* Ready ones older than the queue keeps them are dropped. */
void sqs_queue_expire(struct sqs_queue *);

/* For those who move messages between queues. */
struct sqs_message *sqs_queue_first_ready(struct sqs_queue *);
void sqs_queue_adopt(struct sqs_queue *, struct sqs_message *, bool new_id);
void sqs_message_handle(const struct sqs_message *, char handle[SQS_RECEIPT_ROOM]);

#endif
