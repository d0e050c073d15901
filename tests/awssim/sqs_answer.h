/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_answer.h - what is said about messages: as text for the JSON protocol, which nearly every
 * client speaks, as objects for the query protocol. */
#ifndef AWSSIM_SQS_ANSWER_H
#define AWSSIM_SQS_ANSWER_H

#include "call.h"
#include "sqs_queue.h"

/* The answer to a single SendMessage. */
void sqs_answer_sent(struct call *, const struct sqs_sent *);

/* The answer to a batch, entry by entry. */
struct sqs_batch_answer {
	struct call *call;
	json_t *successful;             /* of the query protocol; NULL: none yet */
	json_t *failed;                 /* NULL: none yet */
	unsigned done;                  /* how many were successful */
};
/* sent.id "": there is nothing to say but that it was done. */
void sqs_answer_done(struct sqs_batch_answer *, json_t *id, const struct sqs_sent *sent);
void sqs_answer_failed(struct sqs_batch_answer *, json_t *entry);       /* takes it */
void sqs_answer_batch(struct sqs_batch_answer *);

/* What a receive has taken, with the attributes that it asked for. */
void sqs_answer_messages(struct call *, struct sqs_message *const *taken, unsigned count);

#endif
