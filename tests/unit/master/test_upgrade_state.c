/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "master/upgrade_state.h"

static void fill(struct upgrade_state *state)
{
	struct upgrade_edition *edition;
	struct upgrade_generation *generation;
	struct upgrade_slot *slot;
	struct upgrade_child *child;
	struct upgrade_client *client;
	struct upgrade_orphan *orphan;
	struct upgrade_listener *listener;

	*state = (struct upgrade_state){
		.daemon = {
			.version = UPGRADE_STATE_VERSION, .reader = UPGRADE_STATE_READER, .program = "/usr/sbin/gantry d",
			.program_fd = 9, .pid_fd = -1, .control_fd = 12, .check_fd = -1, .worker_fd = 14, .requests = 0x48,
			.scale_to = 3, .upgrades = 2, .reloads = 17, .last_number = 18, .last_serial = 1ull << 41,
			.owner_prefix = "host/0123abcd/812/19a", .started_at = 1234.000001, .current = 18, .last_good = -1,
			.fall_back = true, .verdict = 2, .reason = "line \"one\"\nline two\\",
		},
	};
	edition = upgrade_state_add(&state->editions, &state->edition_count, sizeof(*edition));
	*edition = (struct upgrade_edition){ .id = 0, .config_fd = 20, .worker_fd = 21, .log_fd = -1 };
	edition = upgrade_state_add(&state->editions, &state->edition_count, sizeof(*edition));
	*edition = (struct upgrade_edition){ .id = 1, .config_fd = 22, .worker_fd = 23, .log_fd = 24 };
	generation = upgrade_state_add(&state->generations, &state->generation_count, sizeof(*generation));
	*generation = (struct upgrade_generation){ .number = 18, .state = 1, .edition = 1, .fallback = true,
		.committed_at = 99.5, .probation_until = 129.5 };
	slot = upgrade_state_add(&state->slots, &state->slot_count, sizeof(*slot));
	*slot = (struct upgrade_slot){ .generation = 18, .number = 0, .deaths = 4, .crashed = true, .restart_at = 101.25 };
	child = upgrade_state_add(&state->children, &state->child_count, sizeof(*child));
	*child = (struct upgrade_child){ .serial = 77, .generation = 18, .role = ROLE_API, .slot = 1, .state = 3,
		.pid = 4711, .channel_fd = -1, .in_hand_fd = 32, .figures_fd = 33, .owner = "host/0123abcd/812/19a/77", .owed = 0x400,
		.sequence_out = 5, .sequence_in = 6, .nonsense = 1, .wait = 2, .drain_ms = 30000, .wait_until = 130,
		.started_at = 90, .active_at = 91, .drain_at = 92, .killed = true, .aborted = true, .empty = true,
		.reason = "was silent for 30s" };
	client = upgrade_state_add(&state->clients, &state->client_count, sizeof(*client));
	*client = (struct upgrade_client){ .fd = 30, .wait = 3 };
	orphan = upgrade_state_add(&state->orphans, &state->orphan_count, sizeof(*orphan));
	snprintf(orphan->owner, sizeof(orphan->owner), "host/0123abcd/812/19a/76");
	snprintf(orphan->how, sizeof(orphan->how), "killed by signal 11");
	snprintf(orphan->crashed_on, sizeof(orphan->crashed_on), "deploys/4 2");
	listener = upgrade_state_add(&state->listeners, &state->listener_count, sizeof(*listener));
	*listener = (struct upgrade_listener){ .fd = 40, .text = "unix:/run/api.sock", .device = 1ull << 40,
		.inode = 77, .lent = true };
}

static char *encode(const struct upgrade_state *state, size_t *size)
{
	struct buf out;

	buf_init(&out, LIMIT_UPGRADE_STATE_BYTES);
	upgrade_state_encode(state, &out);
	assert_false(out.overflowed);
	*size = out.size;
	return buf_take(&out);
}

static void test_round_trip(void **unused)
{
	struct upgrade_state before, after;
	size_t size, again_size;
	char *text, *again;

	(void)unused;
	fill(&before);
	text = encode(&before, &size);
	assert_true(upgrade_state_decode(&after, text, size, NULL));
	assert_int_equal(after.daemon.last_serial, before.daemon.last_serial);
	assert_string_equal(after.daemon.reason, before.daemon.reason);
	assert_string_equal(after.daemon.program, before.daemon.program);
	assert_true(after.daemon.started_at > 1234.0000005 && after.daemon.started_at < 1234.0000015);
	assert_int_equal(after.daemon.last_good, -1);
	assert_int_equal(after.edition_count, 2);
	assert_int_equal(after.editions[0].log_fd, -1);
	assert_int_equal(after.child_count, 1);
	assert_string_equal(after.children[0].owner, before.children[0].owner);
	assert_true(after.children[0].killed && after.children[0].aborted && after.children[0].empty);
	assert_int_equal(after.clients[0].fd, 30);
	assert_string_equal(after.orphans[0].how, "killed by signal 11");
	assert_string_equal(after.orphans[0].crashed_on, "deploys/4 2");
	assert_int_equal(after.children[0].in_hand_fd, 32);
	assert_int_equal(after.children[0].figures_fd, 33);
	assert_int_equal(after.children[0].role, ROLE_API);
	assert_int_equal(after.listener_count, 1);
	assert_string_equal(after.listeners[0].text, "unix:/run/api.sock");
	assert_int_equal(after.listeners[0].fd, 40);
	assert_int_equal(after.listeners[0].inode, 77);
	assert_true(after.listeners[0].lent && after.listeners[0].device == 1ull << 40);
	again = encode(&after, &again_size);
	assert_int_equal(again_size, size);
	assert_memory_equal(again, text, size);
	assert_int_equal(upgrade_state_program_fd(text, size), 9);
	free(text);
	free(again);
	upgrade_state_finish(&before);
	upgrade_state_finish(&after);
}

/* The longest texts there can be, each character of which takes four. */
static void test_no_text_is_too_long(void **unused)
{
	struct upgrade_state before, after;
	struct upgrade_orphan *orphan;
	size_t size;
	char *text;

	(void)unused;
	fill(&before);
	orphan = &before.orphans[0];
	memset(before.daemon.program, 1, sizeof(before.daemon.program) - 1);
	memset(before.daemon.reason, 1, sizeof(before.daemon.reason) - 1);
	memset(before.children[0].reason, 1, sizeof(before.children[0].reason) - 1);
	memset(before.children[0].owner, 1, sizeof(before.children[0].owner) - 1);
	memset(orphan->owner, 1, sizeof(orphan->owner) - 1);
	memset(orphan->how, 1, sizeof(orphan->how) - 1);
	text = encode(&before, &size);
	assert_true(upgrade_state_decode(&after, text, size, NULL));
	assert_string_equal(after.daemon.program, before.daemon.program);
	assert_string_equal(after.daemon.reason, before.daemon.reason);
	assert_string_equal(after.orphans[0].how, orphan->how);
	assert_int_equal(upgrade_state_program_fd(text, size), 9);
	free(text);
	upgrade_state_finish(&before);
	upgrade_state_finish(&after);
}

static void test_every_cut_is_seen(void **unused)
{
	struct upgrade_state state, cut;
	size_t size;
	char *text;

	(void)unused;
	fill(&state);
	text = encode(&state, &size);
	for (size_t length = 0; length < size; length++) {
		struct error err = { .kind = ERROR_NONE };
		/* Exactly so long, so that reading on would be noticed. */
		char *piece = malloc(length > 0 ? length : 1);

		assert_non_null(piece);
		memcpy(piece, text, length);
		assert_false(upgrade_state_decode(&cut, piece, length, &err));
		assert_int_equal(err.kind, ERROR_INVALID);
		upgrade_state_finish(&cut);
		free(piece);
	}
	free(text);
	upgrade_state_finish(&state);
}

static void test_every_changed_byte_is_seen(void **unused)
{
	struct upgrade_state state, other;
	size_t size;
	char *text;

	(void)unused;
	fill(&state);
	text = encode(&state, &size);
	for (size_t i = 0; i < size; i++) {
		text[i] ^= 1;
		assert_false(upgrade_state_decode(&other, text, size, NULL));
		upgrade_state_finish(&other);
		text[i] ^= 1;
	}
	free(text);
	upgrade_state_finish(&state);
}

/* As a program of the future, or of the past, would write it. */
static char *seal(const char *lines, size_t count, size_t *size)
{
	uint64_t sum = 0xcbf29ce484222325;
	char *text;

	for (const char *c = lines; *c != '\0'; c++)
		sum = (sum ^ (unsigned char)*c) * 0x100000001b3;
	assert_true(asprintf(&text, "%send lines=%zu sum=%llx\n", lines, count, (unsigned long long)sum) > 0);
	*size = strlen(text);
	return text;
}

static const struct { const char *name, *lines; size_t count; bool want; } versions[] = {
	{ "keys and records that we do not know", "gantryd version=7 reader=1 program_fd=3 colour=blue\nmoon phase=2\n", 2,
	  true },
	{ "a version that needs a newer reader", "gantryd version=7 reader=2 program_fd=3\n", 1, false },
	{ "no daemon at all", "edition id=0\n", 1, false },
	{ "a number that is none", "gantryd version=1 reader=1 program_fd=x\n", 1, false },
	{ "a number that is too large", "gantryd version=1 reader=1 program_fd=99999999999\n", 1, false },
	{ "a negative count", "gantryd version=1 reader=1 reloads=-1\n", 1, false },
	{ "a flag that is neither", "gantryd version=1 reader=1 fall_back=2\n", 1, false },
	{ "a line that is none", "gantryd version=1 reader=1\n\"\n", 2, false },
	{ "the wrong number of lines", "gantryd version=1 reader=1\n", 2, false },
};

static void test_versions_and_nonsense(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct upgrade_state state;
		size_t size;
		char *text = seal(versions[i].lines, versions[i].count, &size);

		if (upgrade_state_decode(&state, text, size, NULL) != versions[i].want)
			fail_msg("%s", versions[i].name);
		upgrade_state_finish(&state);
		free(text);
	}
}

/* The way back must be found though nothing else is understood. */
static void test_way_back(void **unused)
{
	static const char future[] = "gantryd version=9 reader=9 program_fd=31 program=/x\nwhat ever\n";

	(void)unused;
	assert_int_equal(upgrade_state_program_fd(future, strlen(future)), 31);
	assert_int_equal(upgrade_state_program_fd("gantryd program_fd=3", 20), -1);
	assert_int_equal(upgrade_state_program_fd("edition program_fd=3\n", 21), -1);
	assert_int_equal(upgrade_state_program_fd("", 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_text_is_too_long),
		cmocka_unit_test(test_every_cut_is_seen),
		cmocka_unit_test(test_every_changed_byte_is_seen),
		cmocka_unit_test(test_versions_and_nonsense),
		cmocka_unit_test(test_way_back),
	};

	return cmocka_run_group_tests_name("upgrade_state", tests, NULL, NULL);
}
