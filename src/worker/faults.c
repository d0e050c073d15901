/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - see faults.h. */
#include "worker/faults.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "worker/deliver_sink.h"

enum { ROOM_BYTES = 256 };      /* for what is added when it is sent */

static void add_text(json_t *doc, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(doc, name, json_at_text(text));
}

static char *compose(const struct fault *fault, const char *body)
{
	char stamp[CLOCK_STAMP_BYTES];
	char host[256] = "";
	json_t *doc = json_object();
	char *text;

	clock_stamp(clock_wall_ms(), stamp);
	gethostname(host, sizeof(host) - 1);
	add_text(doc, "time", stamp);
	add_text(doc, "kind", fault->kind);
	add_text(doc, "error", fault->text);
	add_text(doc, "host", host);
	add_text(doc, "job", fault->job_id);
	add_text(doc, "project", fault->project);
	add_text(doc, "queue", fault->queue);
	add_text(doc, "body", body);
	text = json_at_dump(doc);
	json_decref(doc);
	return text;
}

/* A body of control characters is six times as long as JSON: it is halved until it fits. */
static char *compose_within_limit(const struct fault *fault)
{
	char *body = xstrdup(fault->body), *cut = NULL;
	char *text = compose(fault, body);
	size_t size = body != NULL ? strlen(body) : 0;

	while (strlen(text) > LIMIT_DELIVERY_BYTES - ROOM_BYTES && size > 0) {
		size /= 2;
		while (size > 0 && ((unsigned char)body[size] & 0xc0) == 0x80)
			size--;
		cut = xstrndup(body, size);
		free(text);
		text = compose(fault, cut);
		free(cut);
	}
	free(body);
	return text;
}

void faults_record(struct worker *worker, const struct fault *fault, const char *dedup_key, deliver_said_fn *done,
	void *arg)
{
	bool heard = worker->conf->error_count > 0;
	char *payload = compose_within_limit(fault);
	const struct store_delivery delivery = {
		.sink = heard ? deliver_errors : "(nobody)",
		.event = "error",
		.job_id = fault->job_id,
		.payload = payload,
		.next_try_ms = heard ? 0 : -1,
	};

	deliver_say(worker->deliver, &(struct deliver_words){ .deliveries = &delivery, .count = 1, .dedup_key = dedup_key,
		.by = fault->by }, done, arg);
	free(payload);
}
