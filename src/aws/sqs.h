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

/* -- receiving ------------------------------------------------------------------------------------ */

struct sqs_receive {
	unsigned max;                   /* 1 to SQS_BATCH */
	unsigned wait_s, visibility_s;
	const char *attempt_id;         /* FIFO; else NULL */
};
/* All inputs below are new references. */
json_t *sqs_receive_input(const char *url, const struct sqs_receive *receive);

/* One message of a reply; lent by it. */
struct sqs_received {
	const char *id, *receipt, *body, *md5, *group;  /* md5 and group may be NULL */
	size_t body_bytes;
	unsigned deliveries;
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
json_t *sqs_delete_input(const char *url, const struct sqs_entry *entries, size_t count);
json_t *sqs_visibility_input(const char *url, const struct sqs_entry *entries, size_t count);

struct sqs_outgoing {
	const char *body, *group, *dedup;       /* group and dedup may be NULL */
};
/* NULL when a text is not UTF-8. */
json_t *sqs_send_input(const char *url, const struct sqs_outgoing *messages, size_t count);

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
/* What one entry's (or a whole call's) code and text mean. */
enum sqs_outcome sqs_outcome_of(const char *code, const char *text, bool sender_fault);

/* -- attributes ----------------------------------------------------------------------------------- */

struct sqs_attributes {
	bool fifo;
	int64_t visibility_s;           /* -1: not said, as below */
	int64_t max_receives;           /* of the redrive policy; 0: there is none */
	int64_t visible, hidden;        /* messages, about */
};
json_t *sqs_attributes_input(const char *url);
void sqs_attributes_parse(const json_t *doc, struct sqs_attributes *attributes);

#endif
