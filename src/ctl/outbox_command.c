/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_command.c - what is still to be told, to whom, and why it was not yet. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/store_access.h"
#include "job/job_record.h"

enum { OUTBOX_PAGE = 500 };

static json_t *delivery_record(const struct store_delivery *delivery)
{
	json_t *object = json_object();

	json_object_set_new(object, "id", json_integer(delivery->id));
	json_object_set_new(object, "sink", json_at_text(delivery->sink));
	json_object_set_new(object, "event", json_at_text(delivery->event));
	json_object_set_new(object, "job", json_at_text(delivery->job_id));
	json_object_set_new(object, "tries", json_integer(delivery->tries));
	json_object_set_new(object, "dead", json_boolean(delivery->dead));
	json_object_set_new(object, "error", json_at_text(delivery->error));
	job_record_stamp(object, "created", delivery->created_ms);
	job_record_stamp(object, "next_try", delivery->dead ? 0 : delivery->next_try_ms);
	return object;
}

static void print_delivery(const struct store_delivery *delivery)
{
	char stamp[CLOCK_STAMP_BYTES];

	clock_stamp(clock_steady_to_wall(delivery->next_try_ms), stamp);
	printf("%-8" PRId64 " %-12s %-28s %5u %-26s %s%s%s\n", delivery->id, delivery->event, delivery->sink, delivery->tries,
		delivery->dead ? "given up" : stamp, delivery->job_id != NULL ? delivery->job_id : "-",
		delivery->error != NULL ? ": " : "", delivery->error != NULL ? delivery->error : "");
}

static bool walk(struct ctl *ctl, struct store *store, json_t *list, struct error *err)
{
	struct store_delivery_filter filter = { .open_only = true, .max = OUTBOX_PAGE };
	bool more = true;

	while (more) {
		struct store_delivery *deliveries;
		size_t count;

		if (!store_deliveries(store, &filter, &deliveries, &count, err))
			return false;
		for (size_t i = 0; i < count; i++) {
			if (ctl->json)
				json_array_append_new(list, delivery_record(&deliveries[i]));
			else
				print_delivery(&deliveries[i]);
		}
		more = count == OUTBOX_PAGE;
		if (more)
			filter.after_id = deliveries[count - 1].id;
		store_deliveries_free(deliveries, count);
	}
	return true;
}

static int show(struct ctl *ctl)
{
	struct store *store = ctl_store(ctl);
	json_t *list;
	struct error err;
	bool ok;

	if (store == NULL)
		return CONTROL_FAILED;
	list = json_array();
	if (ctl->terminal && !ctl->json)
		printf("%-8s %-12s %-28s %5s %-26s %s\n", "id", "event", "to", "tries", "next try", "job");
	ok = walk(ctl, store, list, &err);
	store_close(store);
	if (!ok)
		fprintf(stderr, "gantryctl: %s\n", err.text);
	else if (ctl->json)
		ctl_print_json(list);
	json_decref(list);
	return ok ? CONTROL_DONE : CONTROL_FAILED;
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
