/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_adopt.c - see upgrade_adopt.h. */
#include "master/upgrade_adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "master/master.h"

enum { LIMIT_UPGRADE_EDITIONS = LIMIT_GENERATIONS + 2 };

/* -- describing ------------------------------------------------------------------------------- */

struct described {
	struct upgrade_state *state;
	struct edition *editions[LIMIT_UPGRADE_EDITIONS];       /* by id */
	size_t count;
};

static unsigned describe_edition(struct described *described, struct edition *edition)
{
	struct upgrade_state *state = described->state;
	struct upgrade_edition *record;

	for (unsigned id = 0; id < described->count; id++) {
		if (described->editions[id] == edition)
			return id;
	}
	if (described->count == LIMIT_UPGRADE_EDITIONS)
		panic("more editions than generations may be");
	described->editions[described->count++] = edition;
	record = upgrade_state_add(&state->editions, &state->edition_count, sizeof(*record));
	*record = (struct upgrade_edition){
		.id = (unsigned)described->count - 1, .config_fd = edition->config_fd,
		.worker_fd = edition->worker_fd, .log_fd = edition->log.fd,
	};
	return record->id;
}

static void describe_child(struct upgrade_state *state, const struct child *child)
{
	struct upgrade_child *record = upgrade_state_add(&state->children, &state->child_count, sizeof(*record));

	*record = (struct upgrade_child){
		.serial = child->serial, .generation = child->generation->number, .slot = child->slot,
		.state = child->state, .pid = (int)child->pid, .channel_fd = child->channel_fd, .owed = child->owed,
		.sequence_out = child->sequence_out, .sequence_in = child->sequence_in, .nonsense = child->nonsense,
		.wait = child->wait, .drain_ms = child->drain_ms, .wait_until = child->wait_until,
		.started_at = child->started_at, .active_at = child->active_at, .drain_at = child->drain_at,
		.killed = child->killed, .aborted = child->aborted, .empty = child->empty,
	};
	memcpy(record->owner, child->owner, sizeof(record->owner));
	memcpy(record->reason, child->reason, sizeof(record->reason));
}

static void describe_slot(struct upgrade_state *state, const struct slot *slot)
{
	struct upgrade_slot *record = upgrade_state_add(&state->slots, &state->slot_count, sizeof(*record));

	*record = (struct upgrade_slot){
		.generation = slot->generation->number, .number = slot->number, .deaths = slot->deaths,
		.crashed = slot->crashed, .child = slot->child != NULL ? slot->child->serial : 0,
		.restart_at = ev_is_active(&slot->restart) ? slot->restart_at : 0,
	};
}

/* Those a worker was told of lately are told again: it may not have been listening. */
static void describe_orphans(struct upgrade_state *state, const struct list *orphans)
{
	const struct orphan *orphan;

	list_each(orphan, orphans, link) {
		struct upgrade_orphan *record = upgrade_state_add(&state->orphans, &state->orphan_count, sizeof(*record));

		memcpy(record->owner, orphan->owner, sizeof(record->owner));
		memcpy(record->how, orphan->how, sizeof(record->how));
	}
}

static void describe_generation(struct described *described, const struct generation *generation)
{
	struct upgrade_state *state = described->state;
	unsigned edition = describe_edition(described, generation->edition);
	struct upgrade_generation *record =
		upgrade_state_add(&state->generations, &state->generation_count, sizeof(*record));
	const struct child *child;

	*record = (struct upgrade_generation){
		.number = generation->number, .state = generation->state, .edition = edition,
		.fallback = generation->fallback, .committed_at = generation->committed_at,
		.probation_until = ev_is_active(&generation->probation) ? generation->probation_until : 0,
	};
	for (size_t i = 0; i < generation->slot_count; i++)
		describe_slot(state, generation->slots[i]);
	list_each(child, &generation->children, link) {
		describe_child(state, child);
		describe_orphans(state, &child->orphans);
	}
}

static void describe_daemon(const struct master *master, struct upgrade_daemon *record)
{
	*record = (struct upgrade_daemon){
		.version = UPGRADE_STATE_VERSION, .reader = UPGRADE_STATE_READER,
		.program_fd = master->upgrade.program_fd, .pid_fd = master->pid_file.fd,
		.control_fd = master->control.fd, .check_fd = master->programs.check_fd,
		.worker_fd = master->programs.worker_fd, .requests = master->requests.bits,
		.scale_to = (unsigned)master->scale_to, .upgrades = master->upgrade.count,
		.reloads = master->reload.count, .last_number = master->roster.last_number,
		.last_serial = master->roster.last_serial, .started_at = master->started_at,
		.current = master->roster.current->number, .last_good = -1, .fall_back = master->reload.fall_back,
		.verdict = master->reload.verdict,
	};
	snprintf(record->program, sizeof(record->program), "%s", master->upgrade.program);
	snprintf(record->reason, sizeof(record->reason), "%.*s", (int)sizeof(record->reason) - 1, master->reload.reason);
	memcpy(record->owner_prefix, master->roster.owner_prefix, sizeof(record->owner_prefix));
}

void upgrade_adopt_describe(struct master *master, struct upgrade_state *state)
{
	struct described described = { .state = state };
	const struct generation *generation;
	const struct control_client *client;

	*state = (struct upgrade_state){ .child_count = 0 };
	describe_daemon(master, &state->daemon);
	list_each(generation, &master->roster.generations, link)
		describe_generation(&described, generation);
	if (master->reload.last_good != NULL)
		state->daemon.last_good = (int)describe_edition(&described, master->reload.last_good);
	describe_orphans(state, &master->roster.orphans);
	list_each(client, &master->control.clients, link) {
		struct upgrade_client *record;

		if (client->wait == CONTROL_WAIT_NONE)
			continue;
		record = upgrade_state_add(&state->clients, &state->client_count, sizeof(*record));
		*record = (struct upgrade_client){ .fd = client->fd, .wait = client->wait };
	}
}

/* -- what stays open -------------------------------------------------------------------------- */

static bool keep_open(int fd, bool keep)
{
	return fd <= 2 || descriptor_set_cloexec(fd, !keep);
}

static bool keep_edition_open(const struct edition *edition, bool keep)
{
	bool ok = keep_open(edition->config_fd, keep);

	ok = keep_open(edition->worker_fd, keep) && ok;
	return keep_open(edition->log.fd, keep) && ok;
}

static bool keep_generation_open(const struct generation *generation, bool keep)
{
	bool ok = keep_edition_open(generation->edition, keep);
	const struct child *child;

	list_each(child, &generation->children, link)
		ok = keep_open(child->channel_fd, keep) && ok;
	return ok;
}

/* All of them, also after one has failed: on the way back each has to be set again. */
bool upgrade_adopt_keep_open(struct master *master, bool keep)
{
	const int fds[] = {
		master->upgrade.program_fd, master->pid_file.fd, master->control.fd, master->programs.check_fd,
		master->programs.worker_fd,
	};
	const struct generation *generation;
	const struct control_client *client;
	bool ok = true;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		ok = keep_open(fds[i], keep) && ok;
	list_each(generation, &master->roster.generations, link)
		ok = keep_generation_open(generation, keep) && ok;
	if (master->reload.last_good != NULL)
		ok = keep_edition_open(master->reload.last_good, keep) && ok;
	list_each(client, &master->control.clients, link) {
		if (client->wait != CONTROL_WAIT_NONE || !keep)
			ok = keep_open(client->fd, keep) && ok;
	}
	return ok;
}

/* -- taking ----------------------------------------------------------------------------------- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool nonsense(struct error *err, const char *what, long long which)
{
	error_set(err, ERROR_INVALID, "state of the daemon: %s %lld makes no sense", what, which);
	return false;
}

/* All that is used as an index, a descriptor or a pid below, looked at before anything is taken. */
static bool check_records(const struct upgrade_state *state, struct error *err)
{
	if (!is_open(state->daemon.program_fd) || (state->daemon.pid_fd >= 0 && !is_open(state->daemon.pid_fd)) ||
	    (state->daemon.control_fd >= 0 && !is_open(state->daemon.control_fd)))
		return nonsense(err, "a descriptor of version", state->daemon.version);
	if (state->daemon.last_good >= (int)state->edition_count || state->daemon.verdict >= RELOAD_VERDICTS)
		return nonsense(err, "last good edition", state->daemon.last_good);
	for (size_t i = 0; i < state->edition_count; i++) {
		const struct upgrade_edition *edition = &state->editions[i];

		if (edition->id != i || !is_open(edition->config_fd) || !is_open(edition->worker_fd))
			return nonsense(err, "edition", edition->id);
	}
	for (size_t i = 0; i < state->generation_count; i++) {
		const struct upgrade_generation *generation = &state->generations[i];

		if (generation->edition >= state->edition_count || generation->state >= GENERATION_STATES)
			return nonsense(err, "generation", generation->number);
	}
	for (size_t i = 0; i < state->child_count; i++) {
		const struct upgrade_child *child = &state->children[i];

		if (child->pid <= 1 || child->state >= CHILD_GONE || child->wait >= CHILD_WAITS ||
		    (child->channel_fd >= 0 && !is_open(child->channel_fd)))
			return nonsense(err, "worker", child->pid);
	}
	for (size_t i = 0; i < state->client_count; i++) {
		if (!is_open(state->clients[i].fd) || state->clients[i].wait >= CONTROL_WAITS)
			return nonsense(err, "client", state->clients[i].fd);
	}
	return true;
}

static struct generation *find_generation(struct roster *roster, unsigned number)
{
	struct generation *generation;

	list_each(generation, &roster->generations, link) {
		if (generation->number == number)
			return generation;
	}
	return NULL;
}

static bool take_child(struct master *master, const struct upgrade_child *record, struct error *err)
{
	struct generation *generation = find_generation(&master->roster, record->generation);
	struct child *child;

	if (generation == NULL)
		return nonsense(err, "worker", record->pid);
	child = child_alloc(generation, record->slot);
	child->serial = record->serial;
	child->state = (enum child_state)record->state;
	child->pid = record->pid;
	child->channel_fd = record->channel_fd;
	child->owed = record->owed & ((1u << REPORT_KINDS) - 1);
	child->sequence_out = record->sequence_out;
	child->sequence_in = record->sequence_in;
	child->nonsense = record->nonsense;
	child->wait = (enum child_wait)record->wait;
	child->drain_ms = record->drain_ms;
	child->wait_until = record->wait_until;
	child->started_at = record->started_at;
	child->active_at = record->active_at;
	child->drain_at = record->drain_at;
	child->killed = record->killed;
	child->aborted = record->aborted;
	child->empty = record->empty;
	memcpy(child->owner, record->owner, sizeof(child->owner));
	memcpy(child->reason, record->reason, sizeof(child->reason));
	return true;
}

static struct child *find_serial(struct generation *generation, uint64_t serial)
{
	struct child *child;

	list_each(child, &generation->children, link) {
		if (child->serial == serial)
			return child;
	}
	return NULL;
}

static bool take_slot(struct master *master, const struct upgrade_slot *record, struct error *err)
{
	struct generation *generation = find_generation(&master->roster, record->generation);
	struct slot *slot;

	if (generation == NULL || record->number != generation->slot_count || record->number >= LIMIT_WORKERS)
		return nonsense(err, "slot", record->number);
	slot = generation_add_slot(generation);
	slot->deaths = record->deaths;
	slot->crashed = record->crashed;
	slot->child = record->child != 0 ? find_serial(generation, record->child) : NULL;
	if (record->child != 0 && slot->child == NULL)
		return nonsense(err, "slot", record->number);
	if (record->restart_at > 0)
		generation_restart_in(slot, record->restart_at - clock_monotonic_s());
	return true;
}

static bool take_generations(struct master *master, const struct upgrade_state *state, struct error *err)
{
	struct edition *editions[LIMIT_UPGRADE_EDITIONS] = { NULL };
	size_t count = 0;

	if (state->edition_count > LIMIT_UPGRADE_EDITIONS)
		return nonsense(err, "number of editions", (long long)state->edition_count);
	for (; count < state->edition_count; count++) {
		const struct upgrade_edition *record = &state->editions[count];

		editions[count] = edition_inherit(record->config_fd, record->worker_fd, record->log_fd, err);
		/* The others are left as they are: to close their descriptors would be to lose them. */
		if (editions[count] == NULL)
			return false;
	}
	for (size_t i = 0; i < state->generation_count; i++) {
		const struct upgrade_generation *record = &state->generations[i];
		struct generation *generation = generation_create(master, record->number, editions[record->edition]);

		generation->state = (enum generation_state)record->state;
		generation->fallback = record->fallback;
		generation->committed_at = record->committed_at;
		if (record->probation_until > 0)
			generation_begin_probation(generation, record->probation_until - clock_monotonic_s());
	}
	if (state->daemon.last_good >= 0)
		master->reload.last_good = edition_ref(editions[state->daemon.last_good]);
	for (size_t i = 0; i < count; i++)
		edition_unref(editions[i]);
	return true;
}

static bool take_children(struct master *master, const struct upgrade_state *state, struct error *err)
{
	for (size_t i = 0; i < state->child_count; i++) {
		if (!take_child(master, &state->children[i], err))
			return false;
	}
	for (size_t i = 0; i < state->slot_count; i++) {
		if (!take_slot(master, &state->slots[i], err))
			return false;
	}
	return true;
}

static void take_numbers(struct master *master, const struct upgrade_daemon *daemon)
{
	master->requests.bits = daemon->requests & ((1u << REQUESTS) - 1);
	master->scale_to = (int)daemon->scale_to;
	master->started_at = daemon->started_at;
	master->upgrade.count = daemon->upgrades;
	master->reload.count = daemon->reloads;
	master->reload.fall_back = daemon->fall_back;
	master->reload.verdict = (enum reload_verdict)daemon->verdict;
	snprintf(master->reload.reason, sizeof(master->reload.reason), "%s", daemon->reason);
	master->roster.last_number = daemon->last_number;
	master->roster.last_serial = daemon->last_serial;
	memcpy(master->roster.owner_prefix, daemon->owner_prefix, sizeof(daemon->owner_prefix));
	xreplace(&master->upgrade.program, daemon->program);
}

/* Only a program that has to go on keeps those it started with; one that is new takes what is there. */
static void take_programs(struct master *master, const struct upgrade_daemon *daemon)
{
	int check_fd = daemon->check_fd, worker_fd = daemon->worker_fd, program_fd = daemon->program_fd;

	if (master->options.rolled_back != NULL) {
		master->programs.check_fd = check_fd;
		master->programs.worker_fd = worker_fd;
	} else {
		descriptor_close(&check_fd);
		descriptor_close(&worker_fd);
	}
	/* We have our own. */
	descriptor_close(&program_fd);
}

static void take_sockets(struct master *master, const struct upgrade_state *state)
{
	const struct conf_supervisor *conf = &master->roster.current->edition->conf->supervisor;
	const char *pid_path = master->options.pid_file != NULL ? master->options.pid_file : conf->pid_file;

	if (state->daemon.pid_fd >= 0 && pid_path != NULL)
		pid_file_inherit(&master->pid_file, pid_path, state->daemon.pid_fd);
	if (state->daemon.control_fd >= 0 && conf->control_socket != NULL)
		control_inherit(&master->control, conf->control_socket, state->daemon.control_fd);
	for (size_t i = 0; i < state->client_count; i++)
		control_inherit_client(&master->control, state->clients[i].fd,
			(enum control_wait)state->clients[i].wait);
}

bool upgrade_adopt_take(struct master *master, const struct upgrade_state *state, struct error *err)
{
	struct generation *generation;
	struct child *child;

	if (!check_records(state, err) || !take_generations(master, state, err) || !take_children(master, state, err))
		return false;
	master->roster.current = find_generation(&master->roster, state->daemon.current);
	if (master->roster.current == NULL)
		return nonsense(err, "running generation", state->daemon.current);
	/* Nothing below can fail. */
	take_numbers(master, &state->daemon);
	for (size_t i = 0; i < state->orphan_count; i++)
		orphans_add(&master->roster.orphans, state->orphans[i].owner, state->orphans[i].how);
	take_sockets(master, state);
	master_log_to(master, master->roster.current->edition);
	list_each(generation, &master->roster.generations, link) {
		list_each(child, &generation->children, link)
			child_resume(child);
	}
	take_programs(master, &state->daemon);
	master->settled = master->ready = true;
	watchdog_rearm(&master->watchdog);
	return true;
}
