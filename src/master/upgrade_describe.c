/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_describe.c - see upgrade_adopt.h.  What is handed over, and the descriptors that stay open for it. */
#include "master/upgrade_adopt.h"

#include <stdio.h>
#include <string.h>

#include "base/descriptor.h"
#include "master/master.h"

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
		.worker_fd = edition->worker_fd, .api_fd = edition->api_fd, .shim_fd = edition->shim_fd,
		.log_fd = edition->log.fd,
	};
	return record->id;
}

static void describe_child(struct upgrade_state *state, const struct child *child)
{
	struct upgrade_child *record = upgrade_state_add(&state->children, &state->child_count, sizeof(*record));

	*record = (struct upgrade_child){
		.serial = child->serial, .generation = child->generation->number, .role = child->role, .slot = child->slot,
		.state = child->state, .pid = (int)child->pid, .channel_fd = child->channel_fd,
		.in_hand_fd = child->in_hand_fd, .figures_fd = child->figures_fd, .owed = child->owed,
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
		.generation = slot->generation->number, .role = slot->role, .number = slot->number,
		.deaths = slot->deaths,
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
		memcpy(record->crashed_on, orphan->crashed_on, sizeof(record->crashed_on));
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
	if (generation->api != NULL)
		describe_slot(state, generation->api);
	list_each(child, &generation->children, link) {
		describe_child(state, child);
		describe_orphans(state, &child->orphans);
	}
}

static void describe_listeners(struct upgrade_state *state, const struct listeners *listeners)
{
	const struct listener *listener;

	list_each(listener, &listeners->all, link) {
		struct upgrade_listener *record =
			upgrade_state_add(&state->listeners, &state->listener_count, sizeof(*record));

		*record = (struct upgrade_listener){
			.fd = listener->fd, .device = listener->name.device, .inode = listener->name.inode,
			.lent = listener->lent,
		};
		snprintf(record->text, sizeof(record->text), "%s", listener->text);
	}
}

static void describe_daemon(const struct master *master, struct upgrade_daemon *record)
{
	*record = (struct upgrade_daemon){
		.version = UPGRADE_STATE_VERSION, .reader = UPGRADE_STATE_READER,
		.program_fd = master->upgrade.program_fd, .pid_fd = master->pid_file.fd,
		.control_fd = master->control.fd, .control_device = master->control.name.device,
		.control_inode = master->control.name.inode, .check_fd = master->programs.check_fd,
		.worker_fd = master->programs.worker_fd, .api_fd = master->programs.api_fd,
		.shim_fd = master->programs.shim_fd, .figures_fd = master->tally.fd, .requests = master->requests.bits,
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
	describe_listeners(state, &master->listeners);
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
	ok = keep_open(edition->api_fd, keep) && ok;
	ok = keep_open(edition->shim_fd, keep) && ok;
	return keep_open(edition->log.fd, keep) && ok;
}

static bool keep_generation_open(const struct generation *generation, bool keep)
{
	bool ok = keep_edition_open(generation->edition, keep);
	const struct child *child;

	list_each(child, &generation->children, link) {
		ok = keep_open(child->channel_fd, keep) && ok;
		ok = keep_open(child->in_hand_fd, keep) && ok;
		ok = keep_open(child->figures_fd, keep) && ok;
	}
	return ok;
}

/* All of them, also after one has failed: on the way back each has to be set again. */
bool upgrade_adopt_keep_open(struct master *master, bool keep)
{
	const int fds[] = {
		master->upgrade.program_fd, master->pid_file.fd, master->control.fd, master->programs.check_fd,
		master->programs.worker_fd, master->programs.api_fd, master->programs.shim_fd, master->tally.fd,
	};
	const struct generation *generation;
	const struct control_client *client;
	const struct listener *listener;
	bool ok = true;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		ok = keep_open(fds[i], keep) && ok;
	list_each(generation, &master->roster.generations, link)
		ok = keep_generation_open(generation, keep) && ok;
	if (master->reload.last_good != NULL)
		ok = keep_edition_open(master->reload.last_good, keep) && ok;
	list_each(listener, &master->listeners.all, link)
		ok = keep_open(listener->fd, keep) && ok;
	list_each(client, &master->control.clients, link) {
		if (client->wait != CONTROL_WAIT_NONE || !keep)
			ok = keep_open(client->fd, keep) && ok;
	}
	return ok;
}
