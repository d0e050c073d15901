/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_receipt.c - "AQEB", then base64 of the numbers and a check sum that strangers don't know. */
#include "sqs_receipt.h"

#include "dice.h"
#include "digest.h"

#include <string.h>

#define PREFIX "AQEB"

struct wire {
	uint64_t sequence;
	uint32_t queue, slot, receipt, check;
	uint16_t pad[1];        /* 26 bytes: base64 ends with one '=', as AWS's handles mostly do */
} __attribute__((packed));

static uint32_t wire_check(const struct wire *wire)
{
	uint64_t sum = dice_mix(wire->sequence + 0x6177737369);

	sum = dice_mix(sum ^ ((uint64_t)wire->queue << 32 | wire->slot));
	return (uint32_t)dice_mix(sum ^ wire->receipt);
}

void sqs_receipt_write(const struct sqs_receipt *receipt, char handle[SQS_RECEIPT_ROOM])
{
	struct wire wire = {
		.sequence = receipt->sequence,
		.queue = receipt->queue,
		.slot = receipt->slot,
		.receipt = receipt->receipt,
	};

	wire.check = wire_check(&wire);
	memcpy(handle, PREFIX, sizeof(PREFIX) - 1);
	base64_encode((unsigned char *)&wire, sizeof(wire), handle + sizeof(PREFIX) - 1);
}

bool sqs_receipt_read(struct sqs_receipt *receipt, const char *handle)
{
	struct wire wire;

	if (strncmp(handle, PREFIX, sizeof(PREFIX) - 1) != 0 ||
	    base64_decode(handle + sizeof(PREFIX) - 1, (unsigned char *)&wire, sizeof(wire)) !=
		    (long)sizeof(wire) ||
	    wire.check != wire_check(&wire))
		return false;
	receipt->sequence = wire.sequence;
	receipt->queue = wire.queue;
	receipt->slot = wire.slot;
	receipt->receipt = wire.receipt;
	return true;
}
