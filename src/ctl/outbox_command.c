/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_command.c - what is still to be told, to whom, and why it was not yet. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/store_access.h"
#include "store/store_record.h"

enum { OUTBOX_PAGE = 500 };

struct outbox {
	struct asking asking;
	json_t *list;                   /* for --json */
};

static void print_delivery(const struct store_delivery *delivery)
{
	char stamp[CLOCK_STAMP_BYTES];

	clock_stamp(clock_steady_to_wall(delivery->next_try_ms), stamp);
	printf("%-8" PRId64 " %-12s %-28s %5u %-26s %s%s%s\n", delivery->id, delivery->event, delivery->sink, delivery->tries,
		delivery->dead ? "given up" : stamp, delivery->job_id != NULL ? delivery->job_id : "-",
		delivery->error != NULL ? ": " : "", delivery->error != NULL ? delivery->error : "");
}

static void ask_page(struct outbox *outbox, int64_t after_id);

static void on_page(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct outbox *outbox = arg;

	(void)next_due_ms;
	for (size_t i = 0; i < count; i++) {
		if (outbox->asking.ctl->json)
			json_array_append_new(outbox->list, store_delivery_record(&deliveries[i]));
		else
			print_delivery(&deliveries[i]);
	}
	if (count == OUTBOX_PAGE)
		ask_page(outbox, deliveries[count - 1].id);
	else
		asking_end(&outbox->asking, err);
}

static void ask_page(struct outbox *outbox, int64_t after_id)
{
	const struct store_delivery_filter filter = { .open_only = true, .after_id = after_id, .max = OUTBOX_PAGE };

	store_deliveries(outbox->asking.store, &filter, on_page, outbox);
}

static int show(struct ctl *ctl)
{
	struct outbox outbox = { .list = json_array() };

	if (asking_open_to_read(&outbox.asking, ctl)) {
		if (ctl->terminal && !ctl->json)
			printf("%-8s %-12s %-28s %5s %-26s %s\n", "id", "event", "to", "tries", "next try", "job");
		ask_page(&outbox, 0);
		asking_wait(&outbox.asking);
	}
	asking_close(&outbox.asking);
	if (ctl->json && outbox.asking.status == CONTROL_DONE)
		ctl_print_json(outbox.list);
	json_decref(outbox.list);
	return outbox.asking.status;
}

/* -- replay ----------------------------------------------------------------------------------- */

static void on_replayed(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct asking *asking = arg;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s\n", err->text);
	} else if (answer->verdict == STORE_ASKED_UNKNOWN) {
		fprintf(stderr, "gantryctl: no delivery of that id was given up\n");
	} else {
		asking_hint(asking);
		puts(asking->ctl->json ? "{\"replayed\": true}" : "due again");
		asking->status = CONTROL_DONE;
	}
	ev_break(asking->loop, EVBREAK_ALL);
}

static int replay(struct ctl *ctl, int64_t id)
{
	struct asking asking;

	if (asking_open(&asking, ctl)) {
		store_replay(asking.store, id, on_replayed, &asking);
		ev_run(asking.loop, 0);
	}
	asking_close(&asking);
	return asking.status;
}

int run_outbox(struct ctl *ctl, int argc, char **argv)
{
	unsigned long id = 0;

	if (argc == 1)
		return show(ctl);
	if (argc != 3 || strcmp(argv[1], "replay") != 0)
		return command_usage("outbox");
	if (strcmp(argv[2], "all") != 0 && !ctl_parse_count(argv[2], INT64_MAX, &id))
		return command_usage("outbox");
	return replay(ctl, (int64_t)id);
}
