/* SPDX-License-Identifier: Apache-2.0 */
/* status_command.c - what runs: the daemon, its generations, workers and queues. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/control_client.h"
#include "ipc/status_record.h"

enum { STATUS_TIMEOUT_S = 10 };

/* Lists of records as the daemon sent them, in one document. */
struct status {
	json_t *doc;            /* the daemon's words, "last_reload", "generations", "workers", "queues", "rates" */
};

static void on_line(void *arg, const struct control_line *line)
{
	struct status *status = arg;

	status_record_add(status->doc, line);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_workers(const json_t *doc)
{
	const json_t *worker;
	size_t i;

	printf("\n%-8s %-7s %-10s %-9s %9s %8s %8s\n", "pid", "role", "generation", "state", "in flight", "running",
		"memory");
	json_array_foreach(json_object_get(doc, "workers"), i, worker)
		printf("%-8" PRId64 " %-7s %-10" PRId64 " %-9s %9" PRId64 " %8" PRId64 " %5.1f MiB\n",
			number_of(worker, "pid"), text_of(worker, "role"), number_of(worker, "generation"),
			text_of(worker, "state"), number_of(worker, "in_flight"), number_of(worker, "running"),
			(double)number_of(worker, "rss_bytes") / (1 << 20));
}

static void print_troubles(const json_t *doc)
{
	const json_t *worker;
	size_t i;

	json_array_foreach(json_object_get(doc, "workers"), i, worker) {
		if (text_of(worker, "trouble")[0] != '\0')
			printf("%s %" PRId64 " is degraded: %s\n", text_of(worker, "role"), number_of(worker, "pid"),
				text_of(worker, "trouble"));
	}
}

static void print_last_receive(const json_t *queue)
{
	int64_t age_ms = number_of(queue, "last_receive_age_ms");

	if (age_ms < 0)
		printf(" %12s", "never");
	else
		printf(" %7.1fs ago", (double)age_ms / 1000);
}

static void print_queues(const json_t *doc)
{
	const json_t *queue;
	size_t i;

	printf("\n%-16s %-8s %9s %9s %9s %12s\n", "queue", "workers", "in flight", "received", "settled", "last receive");
	json_array_foreach(json_object_get(doc, "queues"), i, queue) {
		printf("%-16s %-8" PRId64 " %9" PRId64 " %9" PRId64 " %9" PRId64, text_of(queue, "name"),
			number_of(queue, "workers"), number_of(queue, "in_flight"), number_of(queue, "received"),
			number_of(queue, "settled"));
		print_last_receive(queue);
		puts(number_of(queue, "degraded") != 0 ? "  degraded" : "");
	}
}

static void print_status(const json_t *doc)
{
	const json_t *reload = json_object_get(doc, "last_reload");

	printf("gantryd %s is %s, pid %" PRId64 ", generation %" PRId64 "\n", text_of(doc, "version"), text_of(doc, "state"),
		number_of(doc, "pid"), number_of(doc, "generation"));
	if (text_of(reload, "verdict")[0] != '\0')
		printf("last reload: %s%s%s\n", text_of(reload, "verdict"), text_of(reload, "reason")[0] != '\0' ? ": " : "",
			text_of(reload, "reason"));
	print_workers(doc);
	print_troubles(doc);
	print_queues(doc);
}

int run_status(struct ctl *ctl, int argc, char **argv)
{
	struct status status = { .doc = status_record_create() };
	struct error why = { 0 };
	enum control_status answer;

	(void)argv;
	if (argc != 1) {
		json_decref(status.doc);
		return command_usage("status");
	}
	answer = control_ask(ctl, "status", STATUS_TIMEOUT_S, on_line, &status, &why);
	if (answer != CONTROL_DONE) {
		fprintf(stderr, "gantryctl: %s\n", why.text);
	} else if (ctl->json) {
		json_dumpf(status.doc, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_status(status.doc);
	}
	json_decref(status.doc);
	return answer;
}
