/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_receipt.h - receipt handles: opaque to clients, a message's place and receive to us. */
#ifndef AWSSIM_SQS_RECEIPT_H
#define AWSSIM_SQS_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

enum { SQS_RECEIPT_ROOM = 64 };

struct sqs_receipt {
	uint32_t queue;         /* serial number of the queue */
	uint32_t slot;          /* where the message is, if it still has this sequence number */
	uint64_t sequence;
	uint32_t receipt;       /* which receive of the message */
};

void sqs_receipt_write(const struct sqs_receipt *, char handle[SQS_RECEIPT_ROOM]);
/* False for what was never handed out. */
bool sqs_receipt_read(struct sqs_receipt *, const char *handle);

#endif
