/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "../cmocka_all.h"
#include "master/child_state.h"

static void test_every_event_has_an_entry_in_every_state(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATES; s++) {
		for (int e = 0; e < CHILD_EVENTS; e++) {
			struct child_move move = child_state_move((enum child_state)s, (enum child_event)e);

			if (move.action == CHILD_UNDECIDED || move.action >= CHILD_ACTIONS || move.next >= CHILD_STATES)
				fail_msg("%s, %s", child_state_name((enum child_state)s),
					child_event_name((enum child_event)e));
		}
	}
}

static void test_nothing_leads_back(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATES; s++) {
		for (int e = 0; e < CHILD_EVENTS; e++)
			assert_true(child_state_move((enum child_state)s, (enum child_event)e).next >= (enum child_state)s);
	}
}

static void test_only_an_end_leads_to_gone(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_GONE; s++) {
		for (int e = 0; e < CHILD_EVENTS; e++) {
			struct child_move move = child_state_move((enum child_state)s, (enum child_event)e);

			assert_int_equal(move.next == CHILD_GONE, e == CHILD_EXITS);
			assert_int_equal(move.action == CHILD_BURY, e == CHILD_EXITS);
		}
	}
}

/* What a child says or does, and when the clock strikes, is not ours to choose: no such event may be
 * called impossible.  The rest is the master's own order of things. */
static void test_only_the_masters_own_doing_can_be_a_bug(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATES; s++) {
		for (int e = 0; e <= CHILD_SILENT; e++) {
			if (s == CHILD_GONE && e == CHILD_EXITS)
				continue;
			assert_int_not_equal(child_state_move((enum child_state)s, (enum child_event)e).action, CHILD_BUG);
		}
		assert_int_not_equal(child_state_move((enum child_state)s, CHILD_RETIRE).action, CHILD_BUG);
		assert_int_not_equal(child_state_move((enum child_state)s, CHILD_RELEASE).action, CHILD_BUG);
	}
}

static const struct {
	const char *name;
	enum child_state state;
	enum child_event event;
	enum child_action action;
	enum child_state next;
} moves[] = {
	{ "ready parks", CHILD_STARTING, CHILD_SAYS_READY, CHILD_PARK, CHILD_READY },
	{ "ready again is nothing", CHILD_READY, CHILD_SAYS_READY, CHILD_IGNORE, CHILD_READY },
	{ "commit goes", CHILD_READY, CHILD_COMMIT, CHILD_GO, CHILD_ACTIVE },
	{ "a parked one has nothing to drain", CHILD_READY, CHILD_RETIRE, CHILD_LEAVE, CHILD_DRAINING },
	{ "an active one drains", CHILD_ACTIVE, CHILD_RETIRE, CHILD_DRAIN, CHILD_DRAINING },
	{ "a fast stop hands over at once", CHILD_ACTIVE, CHILD_RELEASE, CHILD_HAND_OVER, CHILD_DRAINING },
	{ "retired twice keeps the earlier deadline", CHILD_DRAINING, CHILD_RETIRE, CHILD_HASTEN, CHILD_DRAINING },
	{ "the deadline hands over", CHILD_DRAINING, CHILD_DEADLINE, CHILD_HAND_OVER, CHILD_DRAINING },
	{ "the last grace kills", CHILD_DRAINING, CHILD_OVERDUE, CHILD_KILL, CHILD_DRAINING },
	{ "a late ready changes nothing", CHILD_DRAINING, CHILD_SAYS_READY, CHILD_IGNORE, CHILD_DRAINING },
	{ "silence aborts", CHILD_ACTIVE, CHILD_SILENT, CHILD_ABORT, CHILD_DRAINING },
	{ "a starting one has its own deadline", CHILD_STARTING, CHILD_SILENT, CHILD_IGNORE, CHILD_STARTING },
	{ "not ready in time is killed", CHILD_STARTING, CHILD_NOT_READY, CHILD_KILL, CHILD_DRAINING },
	{ "ready just before its deadline counts", CHILD_READY, CHILD_NOT_READY, CHILD_IGNORE, CHILD_READY },
	{ "a parked one may not have jobs", CHILD_READY, CHILD_SAYS_RELEASED, CHILD_COUNT, CHILD_READY },
	{ "a draining one gives jobs back", CHILD_DRAINING, CHILD_SAYS_RELEASED, CHILD_PASS_RELEASED, CHILD_DRAINING },
	{ "it refuses while it starts", CHILD_STARTING, CHILD_SAYS_REFUSED, CHILD_NOTE_REFUSAL, CHILD_DRAINING },
};

static void test_moves(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		struct child_move move = child_state_move(moves[i].state, moves[i].event);

		if (move.action != moves[i].action || move.next != moves[i].next)
			fail_msg("%s", moves[i].name);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATES; s++)
		assert_non_null(child_state_name((enum child_state)s));
	for (int e = 0; e < CHILD_EVENTS; e++)
		assert_non_null(child_event_name((enum child_event)e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_has_an_entry_in_every_state),
		cmocka_unit_test(test_nothing_leads_back),
		cmocka_unit_test(test_only_an_end_leads_to_gone),
		cmocka_unit_test(test_only_the_masters_own_doing_can_be_a_bug),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("child_state", tests, NULL, NULL);
}
