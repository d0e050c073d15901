/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c - the master's state as lines, for gantryctl status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/control.h"
#include "master/master.h"
#include "master/version.h"

static void write_hash(struct buf *out, uint64_t hash)
{
	char text[20];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	control_line_text(out, "configuration", text);
}

static void write_daemon(const struct master *master, struct buf *out)
{
	const struct generation *current = master->roster.current;

	control_line_begin(out, "daemon");
	control_line_text(out, "state", phase_name(master_phase(master)));
	control_line_number(out, "generation", current != NULL ? (long long)current->number : 0);
	control_line_number(out, "pid", getpid());
	control_line_text(out, "version", version_text());
	control_line_number(out, "uptime_s", (long long)(clock_monotonic_s() - master->started_at));
	control_line_number(out, "workers", current != NULL ? (long long)current->slot_count : 0);
	control_line_number(out, "active", current != NULL ? (long long)generation_active_count(current) : 0);
	control_line_number(out, "old_generations", (long long)roster_old_count(&master->roster));
	control_line_number(out, "reloads", master->reload.count);
	control_line_number(out, "upgrades", master->upgrade.count);
	control_line_text(out, "file", master->options.conf_path);
	write_hash(out, current != NULL ? current->edition->config_hash : 0);
	control_line_end(out);
}

static void write_reload(const struct reload *reload, struct buf *out)
{
	control_line_begin(out, "reload");
	control_line_text(out, "verdict", reload_verdict_name(reload->verdict));
	control_line_text(out, "reason", reload->reason);
	control_line_end(out);
}

static void write_summary(const struct generation *generation, struct buf *out)
{
	control_line_begin(out, "generation");
	control_line_number(out, "number", generation->number);
	control_line_text(out, "state", generation_state_name(generation->state));
	control_line_number(out, "workers", (long long)generation->slot_count);
	control_line_number(out, "active", (long long)generation_active_count(generation));
	write_hash(out, generation->edition->config_hash);
	control_line_end(out);
}

static void write_child(const struct child *child, struct buf *out, double now)
{
	control_line_begin(out, "worker");
	control_line_text(out, "role", role_name(child->role));
	control_line_number(out, "pid", child->pid);
	control_line_number(out, "generation", child->generation->number);
	control_line_number(out, "slot", child->slot);
	control_line_text(out, "state", child_state_name(child->state));
	control_line_number(out, "held", child->numbers.held);
	control_line_number(out, "running", child->numbers.running);
	control_line_number(out, "done", (long long)child->numbers.jobs_done);
	control_line_number(out, "rss_bytes", (long long)child->numbers.rss_bytes);
	control_line_number(out, "longest_commit_us", child->numbers.longest_commit_us);
	control_line_number(out, "dropped_reports", child->numbers.dropped_reports);
	control_line_number(out, "log_dropped", child->numbers.log_dropped);
	control_line_number(out, "degraded", child->numbers.degraded);
	if (child->trouble[0] != '\0')
		control_line_text(out, "trouble", child->trouble);
	control_line_number(out, "empty", child->empty);
	control_line_number(out, "age_s", (long long)(now - child->started_at));
	control_line_number(out, "silent_ms", (long long)((now - child->heard_at) * 1000));
	control_line_text(out, "owner", child->owner);
	write_hash(out, child->generation->edition->config_hash);
	control_line_end(out);
}

/* A slot that waits for its next start is a worker too: it counts as missing. */
static void write_vacancy(const struct slot *slot, struct buf *out, double now)
{
	double left_s = slot->restart_at - now;

	if (slot->child != NULL || !ev_is_active(&slot->restart))
		return;
	control_line_begin(out, "worker");
	control_line_text(out, "role", role_name(slot->role));
	control_line_number(out, "pid", 0);
	control_line_number(out, "generation", slot->generation->number);
	control_line_number(out, "slot", slot->number);
	control_line_text(out, "state", child_state_name(CHILD_GONE));
	control_line_number(out, "held", 0);
	control_line_number(out, "deaths", slot->deaths);
	control_line_number(out, "restart_in_ms", left_s > 0 ? (long long)(left_s * 1000) : 0);
	control_line_end(out);
}

static void write_generation(const struct generation *generation, struct buf *out, double now)
{
	const struct child *child;

	list_each(child, &generation->children, link)
		write_child(child, out, now);
	for (size_t i = 0; i < generation->slot_count; i++)
		write_vacancy(generation->slots[i], out, now);
	if (generation->api != NULL)
		write_vacancy(generation->api, out, now);
}

/* -- queues: one line for each in a generation, however many workers receive from it ----------------- */

struct queue_sum {
	const char *name;
	unsigned workers, degraded;
	struct report_queue numbers;
};

struct queue_sums {
	struct queue_sum *at;
	size_t count;
};

/* Workers of a generation name their queues in the same order, so the first look is a hit. */
static struct queue_sum *find_sum(struct queue_sums *sums, const char *name, size_t near)
{
	if (near < sums->count && strcmp(sums->at[near].name, name) == 0)
		return &sums->at[near];
	for (size_t i = 0; i < sums->count; i++) {
		if (strcmp(sums->at[i].name, name) == 0)
			return &sums->at[i];
	}
	sums->at = xreallocarray(sums->at, sums->count + 1, sizeof(*sums->at));
	sums->at[sums->count] = (struct queue_sum){ .name = name, .numbers.last_receive_age_ms = -1 };
	return &sums->at[sums->count++];
}

static void add_numbers(struct queue_sum *sum, const struct report_queue *numbers)
{
	int64_t age_ms = numbers->last_receive_age_ms;

	sum->workers++;
	sum->degraded += numbers->degraded != 0;
	sum->numbers.held += numbers->held;
	sum->numbers.receiving += numbers->receiving;
	sum->numbers.received += numbers->received;
	sum->numbers.settled += numbers->settled;
	sum->numbers.empty_receives += numbers->empty_receives;
	sum->numbers.failures += numbers->failures;
	/* The latest receive of them all. */
	if (age_ms >= 0 && (sum->numbers.last_receive_age_ms < 0 || age_ms < sum->numbers.last_receive_age_ms))
		sum->numbers.last_receive_age_ms = age_ms;
}

static void write_sum(const struct queue_sum *sum, unsigned generation, struct buf *out)
{
	const struct report_queue *numbers = &sum->numbers;

	control_line_begin(out, "queue");
	control_line_text(out, "name", sum->name);
	control_line_number(out, "generation", generation);
	control_line_number(out, "workers", sum->workers);
	control_line_number(out, "held", numbers->held);
	control_line_number(out, "receiving", numbers->receiving);
	control_line_number(out, "received", (long long)numbers->received);
	control_line_number(out, "settled", (long long)numbers->settled);
	control_line_number(out, "empty_receives", (long long)numbers->empty_receives);
	control_line_number(out, "failures", (long long)numbers->failures);
	control_line_number(out, "last_receive_age_ms", (long long)numbers->last_receive_age_ms);
	control_line_number(out, "degraded", sum->degraded);
	control_line_end(out);
}

static void write_queues(const struct generation *generation, struct buf *out)
{
	struct queue_sums sums = { .at = NULL };
	const struct child *child;

	list_each(child, &generation->children, link) {
		for (size_t i = 0; i < child->queue_count; i++)
			add_numbers(find_sum(&sums, child->queues[i].name, i), &child->queues[i].numbers);
	}
	for (size_t i = 0; i < sums.count; i++)
		write_sum(&sums.at[i], generation->number, out);
	free(sums.at);
}

static void write_rates(const struct queue_rates *rates, struct buf *out, double now)
{
	uint64_t received, settled;
	const char *name;

	for (size_t i = 0; i < rates->count; i++) {
		if (!queue_rates_get(rates, i, now, &name, &received, &settled))
			continue;
		control_line_begin(out, "rate");
		control_line_text(out, "name", name);
		control_line_number(out, "received_per_minute", (long long)received);
		control_line_number(out, "settled_per_minute", (long long)settled);
		control_line_end(out);
	}
}

/* -- the whole -------------------------------------------------------------------------------- */

void control_status_write(const struct master *master, struct buf *out)
{
	const struct generation *generation;
	double now = clock_monotonic_s();

	write_daemon(master, out);
	write_reload(&master->reload, out);
	list_each(generation, &master->roster.generations, link)
		write_summary(generation, out);
	list_each(generation, &master->roster.generations, link)
		write_generation(generation, out, now);
	list_each(generation, &master->roster.generations, link)
		write_queues(generation, out);
	write_rates(&master->queue_rates, out, now);
}
