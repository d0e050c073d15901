/* SPDX-License-Identifier: Apache-2.0 */
/* refusal.c - a message that becomes no job: recorded with its body, told, and then settled, or left to the
 * redrive policy.
 *
 * The later ones of its group run all the same: it deploys nothing, so nothing is out of order, and
 * giving them back with it would use up their receives until they were dead letters too. */
#include "worker/refusal.h"

#include <stdlib.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "worker/faults.h"

enum { LIMIT_FAULT_BODY_BYTES = 64 << 10 };

/* A message that is settled once its fault is recorded. */
struct refusal {
	struct list link;               /* intake.refusals */
	struct intake *intake;
	struct queue_message *message;
};

static void refusal_destroy(struct refusal *refusal)
{
	list_remove(&refusal->link);
	free(refusal);
}

void refusals_finish(struct intake *intake)
{
	while (!list_empty(&intake->refusals))
		refusal_destroy(list_first(&intake->refusals, struct refusal, link));
}

static void on_refusal_settled(void *arg, const struct error *err)
{
	struct intake *intake = arg;

	if (err != NULL)
		log_warn(&intake->log, "a message that was refused could not be settled: %s", err->text);
	intake->admitting--;
	intake_update_room(intake);
	drain_check(intake->worker);
}

static void on_refusal_recorded(void *arg)
{
	struct refusal *refusal = arg;
	struct intake *intake = refusal->intake;
	enum queue_verdict verdict = intake->conf->malformed == CONF_MALFORMED_DEAD_LETTER ? QUEUE_DEAD : QUEUE_DONE;

	if (intake->queue != NULL)
		queue_settle(refusal->message, verdict, on_refusal_settled, intake);
	refusal_destroy(refusal);
}

/* The body as it is recorded: cut, but never inside a UTF-8 character, and whole texts only: what is
 * behind a NUL would be lost in every text column and JSON string that it passes. */
static char *recorded_body(const struct queue_message *message)
{
	size_t size = message->body_bytes;

	if (size > LIMIT_FAULT_BODY_BYTES) {
		size = LIMIT_FAULT_BODY_BYTES;
		while (size > 0 && ((unsigned char)message->body[size] & 0xc0) == 0x80)
			size--;
	}
	return json_at_clean(message->body, size);
}

void refusal_begin(struct intake *intake, struct queue_message *message, const char *kind, const char *why)
{
	struct refusal *refusal = xnew(struct refusal);
	char *body = recorded_body(message);
	char *key = xasprintf("%s/%s/%s", kind, intake->conf->name, message->id);
	struct fault fault = { .kind = kind, .queue = intake->conf->name, .text = why, .body = body };

	log_warn(&intake->log, "message %s is refused as %s: %s; recorded and %s", message->id, kind, why,
		intake->conf->malformed == CONF_MALFORMED_DEAD_LETTER ? "left to the redrive policy" : "settled");
	*refusal = (struct refusal){ .intake = intake, .message = message };
	list_append(&intake->refusals, &refusal->link);
	intake->admitting++;
	faults_record(intake->worker, &fault, key, on_refusal_recorded, refusal);
	free(key);
	free(body);
}
