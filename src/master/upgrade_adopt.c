/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_adopt.c - see upgrade_adopt.h.  The taking; what is handed over is upgrade_describe.c. */
#include "master/upgrade_adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "master/master.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool nonsense(struct error *err, const char *what, long long which)
{
	error_set(err, ERROR_INVALID, "state of the daemon: %s %lld makes no sense", what, which);
	return false;
}

static bool is_role(unsigned role)
{
	return role == ROLE_WORKER || role == ROLE_API;
}

/* What an older program does not know is 0 in its state, and no descriptor of ours is. */
static int later_fd(int fd)
{
	return fd > 0 ? fd : -1;
}

/* All that is used as an index, a descriptor or a pid below, looked at before anything is taken. */
static bool check_records(const struct upgrade_state *state, struct error *err)
{
	if (!is_open(state->daemon.program_fd) || (state->daemon.pid_fd >= 0 && !is_open(state->daemon.pid_fd)) ||
	    (state->daemon.control_fd >= 0 && !is_open(state->daemon.control_fd)) ||
	    (state->daemon.figures_fd > 0 && !is_open(state->daemon.figures_fd)))
		return nonsense(err, "a descriptor of version", state->daemon.version);
	if (state->daemon.last_good >= (int)state->edition_count || state->daemon.verdict >= RELOAD_VERDICTS)
		return nonsense(err, "last good edition", state->daemon.last_good);
	for (size_t i = 0; i < state->edition_count; i++) {
		const struct upgrade_edition *edition = &state->editions[i];

		if (edition->id != i || !is_open(edition->config_fd) || !is_open(edition->worker_fd) ||
		    (edition->api_fd > 0 && !is_open(edition->api_fd)) ||
		    (edition->shim_fd > 0 && !is_open(edition->shim_fd)))
			return nonsense(err, "edition", edition->id);
	}
	for (size_t i = 0; i < state->generation_count; i++) {
		const struct upgrade_generation *generation = &state->generations[i];

		if (generation->edition >= state->edition_count || generation->state >= GENERATION_STATES)
			return nonsense(err, "generation", generation->number);
	}
	for (size_t i = 0; i < state->child_count; i++) {
		const struct upgrade_child *child = &state->children[i];

		if (child->pid <= 1 || !is_role(child->role) || child->state >= CHILD_GONE || child->wait >= CHILD_WAITS ||
		    (child->channel_fd >= 0 && !is_open(child->channel_fd)) ||
		    (child->in_hand_fd > 0 && !is_open(child->in_hand_fd)) ||
		    (child->figures_fd > 0 && !is_open(child->figures_fd)))
			return nonsense(err, "worker", child->pid);
	}
	for (size_t i = 0; i < state->client_count; i++) {
		if (!is_open(state->clients[i].fd) || state->clients[i].wait >= CONTROL_WAITS)
			return nonsense(err, "client", state->clients[i].fd);
	}
	for (size_t i = 0; i < state->listener_count; i++) {
		if (!is_open(state->listeners[i].fd))
			return nonsense(err, "listener", state->listeners[i].fd);
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
	child = child_alloc(generation, (enum role)record->role, record->slot);
	child->serial = record->serial;
	child->state = (enum child_state)record->state;
	child->pid = record->pid;
	child->channel_fd = record->channel_fd;
	child->in_hand_fd = later_fd(record->in_hand_fd);
	child->figures_fd = later_fd(record->figures_fd);
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

	if (generation == NULL || !is_role(record->role))
		return nonsense(err, "slot", record->number);
	if (record->role == ROLE_API ? generation->api != NULL :
	    record->number != generation->slot_count || record->number >= LIMIT_WORKERS)
		return nonsense(err, "slot", record->number);
	slot = record->role == ROLE_API ? generation_add_api(generation) : generation_add_slot(generation);
	slot->deaths = record->deaths;
	slot->crashed = record->crashed;
	slot->child = record->child != 0 ? find_serial(generation, record->child) : NULL;
	if (record->child != 0 && slot->child == NULL)
		return nonsense(err, "slot", record->number);
	if (record->restart_at > 0)
		generation_restart_in(slot, record->restart_at - clock_monotonic_s());
	return true;
}

static struct edition *inherit_edition(const struct upgrade_edition *record, struct error *err)
{
	struct edition_fds fds = {
		.config = record->config_fd, .worker = record->worker_fd, .api = later_fd(record->api_fd),
		.shim = later_fd(record->shim_fd), .log = record->log_fd,
	};

	return edition_inherit(&fds, err);
}

static bool take_generations(struct master *master, const struct upgrade_state *state, struct error *err)
{
	struct edition *editions[LIMIT_UPGRADE_EDITIONS] = { NULL };
	size_t count = 0;

	if (state->edition_count > LIMIT_UPGRADE_EDITIONS)
		return nonsense(err, "number of editions", (long long)state->edition_count);
	for (; count < state->edition_count; count++) {
		const struct upgrade_edition *record = &state->editions[count];

		editions[count] = inherit_edition(record, err);
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
	struct programs theirs = {
		.opened = true, .check_fd = daemon->check_fd, .worker_fd = daemon->worker_fd,
		.api_fd = later_fd(daemon->api_fd), .shim_fd = later_fd(daemon->shim_fd),
	};
	int program_fd = daemon->program_fd;

	if (master->options.rolled_back != NULL)
		master->programs = theirs;
	else
		programs_finish(&theirs);
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
		control_inherit(&master->control, conf->control_socket, state->daemon.control_fd,
			(struct local_name){ state->daemon.control_device, state->daemon.control_inode });
	for (size_t i = 0; i < state->listener_count; i++) {
		const struct upgrade_listener *record = &state->listeners[i];

		listeners_inherit(&master->listeners, record->text, record->fd,
			(struct local_name){ record->device, record->inode }, record->lent);
	}
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
	tally_open(&master->tally, later_fd(state->daemon.figures_fd), &master->log);
	for (size_t i = 0; i < state->orphan_count; i++)
		orphans_add(&master->roster.orphans, state->orphans[i].owner, state->orphans[i].how,
			state->orphans[i].crashed_on);
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
