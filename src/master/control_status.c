/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c - the master's state as lines, for gantryctl status. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
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

	control_line_begin(out, "worker");
	control_line_number(out, "pid", 0);
	control_line_number(out, "generation", slot->generation->number);
	control_line_number(out, "slot", slot->number);
	control_line_text(out, "state", child_state_name(CHILD_GONE));
	control_line_number(out, "held", 0);
	control_line_number(out, "deaths", slot->deaths);
	control_line_number(out, "restart_in_ms", left_s > 0 ? (long long)(left_s * 1000) : 0);
	control_line_end(out);
}

static void write_queues(const struct child *child, struct buf *out)
{
	for (size_t i = 0; i < child->queue_count; i++) {
		const struct report_queue *numbers = &child->queues[i].numbers;

		control_line_begin(out, "queue");
		control_line_text(out, "name", child->queues[i].name);
		control_line_number(out, "pid", child->pid);
		control_line_number(out, "generation", child->generation->number);
		control_line_number(out, "held", numbers->held);
		control_line_number(out, "receiving", numbers->receiving);
		control_line_number(out, "received", (long long)numbers->received);
		control_line_number(out, "settled", (long long)numbers->settled);
		control_line_number(out, "empty_receives", (long long)numbers->empty_receives);
		control_line_number(out, "failures", (long long)numbers->failures);
		control_line_number(out, "last_receive_age_ms", (long long)numbers->last_receive_age_ms);
		control_line_number(out, "degraded", numbers->degraded);
		control_line_end(out);
	}
}

static void write_generation(const struct generation *generation, struct buf *out, double now)
{
	const struct child *child;

	list_each(child, &generation->children, link)
		write_child(child, out, now);
	for (size_t i = 0; i < generation->slot_count; i++) {
		if (generation->slots[i]->child == NULL && ev_is_active(&generation->slots[i]->restart))
			write_vacancy(generation->slots[i], out, now);
	}
}

void control_status_write(const struct master *master, struct buf *out)
{
	const struct generation *generation;
	const struct child *child;
	double now = clock_monotonic_s();

	write_daemon(master, out);
	write_reload(&master->reload, out);
	list_each(generation, &master->roster.generations, link)
		write_summary(generation, out);
	list_each(generation, &master->roster.generations, link)
		write_generation(generation, out, now);
	list_each(generation, &master->roster.generations, link) {
		list_each(child, &generation->children, link)
			write_queues(child, out);
	}
}
