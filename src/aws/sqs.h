/* SPDX-License-Identifier: Apache-2.0 */
/* sqs.h - the words of SQS: requests as JSON, and what its answers mean.
 *
 * Pure: no call, no clock, no log.  Member names, limits and error codes are those of AWS JSON 1.0
 * (API reference of 2012-11-05); when to ask what is left to the queue adapter. */
#ifndef AWS_SQS_H
#define AWS_SQS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	SQS_BATCH = 10,                         /* messages a call */
	SQS_HIDDEN_TOTAL_S = 43195,             /* from the receive: an extension to 43200 is refused */
	LIMIT_SQS_URL_BYTES = 1024,
	LIMIT_SQS_ARN_BYTES = 512,
};

/* What a queue's URL says. */
struct sqs_address {
	char *url;                      /* as it was written, which is what SQS is sent */
	char *origin;                   /* "https://sqs.eu-west-1.amazonaws.com": where to, unless configured */
	char *region;                   /* NULL: the host doesn't say (emulators) */
	bool fifo;
};
bool sqs_address_parse(struct sqs_address *address, const char *url, struct error *err);
void sqs_address_finish(struct sqs_address *address);

/* What is asked, and what is read of the answer (aws_request::text and ::reads). */
struct sqs_input {
	char *text;                     /* the caller's to free */
	const char *const *reads;
};

/* -- receiving ------------------------------------------------------------------------------------ */

struct sqs_receive {
	unsigned max;                   /* 1 to SQS_BATCH */
	unsigned wait_s, visibility_s;
	const char *attempt_id;         /* FIFO; else NULL */
};
struct sqs_input sqs_receive_input(const char *url, const struct sqs_receive *receive);

/* One message of a reply; lent by it. */
struct sqs_received {
	const char *id, *receipt, *body, *md5, *group;  /* md5 and group may be NULL */
	size_t body_bytes;
	unsigned deliveries;
	int64_t sent_ms;                /* 0: not said */
};
/* Fills out and returns how many; *broken counts entries that nothing can be done with (no id, no
 * receipt). */
size_t sqs_receive_parse(const json_t *doc, struct sqs_received out[SQS_BATCH], size_t *broken);
/* Whether the body has the digest that SQS computed; true when it gave none or MD5 is not to be had. */
bool sqs_body_intact(const struct sqs_received *received);

/* -- batches -------------------------------------------------------------------------------------- */

/* Entry ids are made from the position, never from message ids: two deliveries of one message in a
 * batch would make SQS refuse all ten. */
struct sqs_entry {
	const char *receipt;
	unsigned visibility_s;          /* of a visibility change */
};
struct sqs_input sqs_delete_input(const char *url, const struct sqs_entry *entries, size_t count);
struct sqs_input sqs_visibility_input(const char *url, const struct sqs_entry *entries, size_t count);

struct sqs_outgoing {
	const char *body, *group, *dedup;       /* group and dedup may be NULL */
};
/* The text is NULL when one of theirs is not UTF-8. */
struct sqs_input sqs_send_input(const char *url, const struct sqs_outgoing *messages, size_t count);

enum sqs_outcome {
	SQS_DONE,
	SQS_LOST,                       /* the handle is dead */
	SQS_AGAIN,                      /* not now: throttled, SQS's own fault, or not mentioned in the answer */
	SQS_DENIED,                     /* never: our fault, and not the handle's */
};
struct sqs_answer {
	enum sqs_outcome outcome;
	struct error error;             /* unless SQS_DONE */
};
/* What the answer to a batch of count entries says about each. */
void sqs_batch_parse(const json_t *doc, size_t count, struct sqs_answer *answers);
/* Refused because the message would be hidden for longer than twelve hours since its receive. */
bool sqs_is_beyond_total(const struct error *err);
/* What one entry's (or a whole call's) code and text mean. */
enum sqs_outcome sqs_outcome_of(const char *code, const char *text, bool sender_fault);

/* -- attributes ----------------------------------------------------------------------------------- */

struct sqs_attributes {
	bool fifo;
	int64_t visibility_s;           /* -1: not said, as below */
	int64_t max_receives;           /* of the redrive policy; 0: there is none */
	int64_t visible, hidden, delayed;       /* messages, about */
	char arn[LIMIT_SQS_ARN_BYTES];
	char dead_letter[LIMIT_SQS_ARN_BYTES];  /* of the redrive policy; "": none */
};
struct sqs_input sqs_attributes_input(const char *url);
void sqs_attributes_parse(const json_t *doc, struct sqs_attributes *attributes);

/* -- message move tasks --------------------------------------------------------------------------- */

/* From a dead-letter queue to a queue it serves. */
struct sqs_input sqs_move_input(const char *source_arn, const char *destination_arn);
struct sqs_input sqs_move_list_input(const char *source_arn);

enum sqs_move_state {
	SQS_MOVE_NONE,                  /* there has been none */
	SQS_MOVE_RUNNING,               /* also one that is being cancelled */
	SQS_MOVE_COMPLETED,
	SQS_MOVE_CANCELLED,
	SQS_MOVE_FAILED,                /* also a state that we don't know */
};
/* The newest task of a list; texts are lent. */
struct sqs_move {
	enum sqs_move_state state;
	int64_t started;                /* SQS's clock, to be compared with that of another task; -1: NONE */
	uint64_t moved;
	int64_t total;                  /* -1: not said */
	const char *destination;        /* ARN; NULL: where each message came from */
	const char *failure;            /* NULL: none, or not said */
};
void sqs_move_parse(const json_t *doc, struct sqs_move *move);

#endif
