/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_api.h - the actions of SQS, by what they are about. */
#ifndef AWSSIM_SQS_API_H
#define AWSSIM_SQS_API_H

#include "call.h"
#include "sqs.h"

/* The queue that the request's QueueUrl names; NULL with the call's error set. */
struct sqs_queue *sqs_call_queue(struct call *);

/* One entry of a batch, or the only one of a single call: fills what a send is answered with,
 * or error. */
typedef void sqs_entry_fn(struct call *, struct sqs_queue *, json_t *entry, struct sqs_sent *,
			  struct aws_error *);

/* Runs fn for the request itself, or for each of its Entries.  Counts those that were done under the
 * name of counter, unless that is NULL. */
void sqs_run_single(struct call *, sqs_entry_fn *, const char *counter);
void sqs_run_batch(struct call *, sqs_entry_fn *, const char *counter);

action_fn sqs_send_message, sqs_send_message_batch;
action_fn sqs_receive_message;

#endif
