/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_trouble.c - failures in a row, of one kind of call.
 *
 * The first failure is logged, and each that says something else; the same one again only every few
 * minutes, so that an outage of a night fills no disk.  What needs a human is an error and is tried
 * again slowly; the rest is a warning and is tried again with backoff.  Never a spin. */
#include "base/backoff.h"
#include "base/clock.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

#include <string.h>

enum { REPEAT_LOG_S = 300 };
static const double first_s = 0.5, max_s = 30;
static const double human_first_s = 30, human_max_s = 120;

static bool needs_human(const struct error *err)
{
	return !error_may_pass(err->kind);
}

static void show(struct queue_sqs *queue)
{
	const struct sqs_trouble *all[] = {
		&queue->poller.trouble, &queue->lease.trouble, &queue->deletes.trouble, &queue->releases.trouble,
	};

	queue->face.figures.degraded = false;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->failures > 0 && !queue->face.figures.degraded) {
			queue->face.figures.degraded = true;
			queue->face.figures.error = all[i]->error;
		}
	}
	if (!queue->face.figures.degraded)
		queue->face.figures.error = (struct error){ 0 };
}

static void note_success(struct queue_sqs *queue, struct sqs_trouble *trouble)
{
	if (trouble->failures == 0)
		return;
	log_info(&queue->face.log, "%s works again after %u failures in %.0fs", trouble->doing, trouble->failures,
		clock_monotonic_s() - trouble->since_s);
	trouble->failures = 0;
	trouble->error = (struct error){ 0 };
	show(queue);
}

void sqs_trouble_note(struct queue_sqs *queue, struct sqs_trouble *trouble, const struct error *err)
{
	double now_s = clock_monotonic_s();
	bool news;

	if (err == NULL) {
		note_success(queue, trouble);
		return;
	}
	news = trouble->failures == 0 || trouble->error.kind != err->kind || strcmp(trouble->error.code, err->code) != 0 ||
	       now_s - trouble->logged_s >= REPEAT_LOG_S;
	if (trouble->failures++ == 0)
		trouble->since_s = now_s;
	trouble->error = *err;
	queue->face.figures.failures++;
	show(queue);
	if (!news)
		return;
	trouble->logged_s = now_s;
	log_at(&queue->face.log, needs_human(err) ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		"%s failed (%s, %u in a row): %s; tried again %s", trouble->doing, error_kind_name(err->kind),
		trouble->failures, err->text, needs_human(err) ? "slowly until it is allowed" : "with backoff");
}

double sqs_trouble_delay_s(const struct sqs_trouble *trouble)
{
	if (trouble->failures == 0)
		return 0;
	if (needs_human(&trouble->error))
		return backoff_s(trouble->failures, human_first_s, human_max_s, random_unit());
	return backoff_s(trouble->failures, first_s, max_s, random_unit());
}
