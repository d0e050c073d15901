/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "../cmocka_all.h"
#include "master/signals.h"

static void test_requests_are_taken_by_precedence(void **state)
{
	struct requests requests = { .bits = (1u << REQUESTS) - 1 };
	enum request_fate fate;

	(void)state;
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(requests_take(&requests, PHASE_RUNNING, 0, &fate), i);
	assert_int_equal(requests_take(&requests, PHASE_RUNNING, 0, &fate), REQUEST_NONE);
	assert_true(REQUEST_FAST_STOP < REQUEST_STOP && REQUEST_STOP < REQUEST_UPGRADE &&
		REQUEST_UPGRADE < REQUEST_RELOAD && REQUEST_RELOAD < REQUEST_SCALE_TO &&
		REQUEST_SCALE_DOWN < REQUEST_REOPEN);
}

static const struct { int signo; enum phase phase; enum request_fate want; } fates[] = {
	{ SIGHUP, PHASE_STARTING, REQUEST_LATER },
	{ SIGHUP, PHASE_RUNNING, REQUEST_ACT },
	{ SIGHUP, PHASE_RELOADING, REQUEST_LATER },
	{ SIGHUP, PHASE_UPGRADING, REQUEST_LATER },
	{ SIGHUP, PHASE_STOPPING, REQUEST_IGNORE },
	{ SIGUSR1, PHASE_RUNNING, REQUEST_ACT },
	{ SIGUSR1, PHASE_RELOADING, REQUEST_ACT },
	{ SIGUSR1, PHASE_STOPPING, REQUEST_ACT },
	{ SIGUSR2, PHASE_RUNNING, REQUEST_ACT },
	{ SIGUSR2, PHASE_RELOADING, REQUEST_LATER },
	{ SIGUSR2, PHASE_STOPPING, REQUEST_IGNORE },
	{ SIGTERM, PHASE_STARTING, REQUEST_ACT },
	{ SIGTERM, PHASE_RELOADING, REQUEST_ACT },
	{ SIGTERM, PHASE_UPGRADING, REQUEST_ACT },
	{ SIGTERM, PHASE_STOPPING, REQUEST_MOOT },
	{ SIGINT, PHASE_RUNNING, REQUEST_ACT },
	{ SIGINT, PHASE_STOPPING, REQUEST_ACT },
	{ SIGQUIT, PHASE_STARTING, REQUEST_ACT },
	{ SIGQUIT, PHASE_STOPPING, REQUEST_ACT },
	{ SIGTTIN, PHASE_RUNNING, REQUEST_ACT },
	{ SIGTTIN, PHASE_RELOADING, REQUEST_LATER },
	{ SIGTTOU, PHASE_STOPPING, REQUEST_IGNORE },
};

static void test_each_signal_in_each_phase(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++) {
		struct requests requests = { 0 };
		enum request_fate fate = REQUEST_LATER;
		enum request request;

		requests_set_signal(&requests, fates[i].signo, fates[i].phase);
		assert_int_not_equal(requests.bits, 0);
		request = requests_take(&requests, fates[i].phase, 0, &fate);
		if (fates[i].want == REQUEST_LATER) {
			assert_int_equal(request, REQUEST_NONE);
			assert_int_not_equal(requests.bits, 0);
		} else if (request == REQUEST_NONE || fate != fates[i].want || requests.bits != 0) {
			fail_msg("signal %d while %s", fates[i].signo, phase_name(fates[i].phase));
		}
	}
}

static void test_what_must_wait_does_not_hold_up_what_is_behind_it(void **state)
{
	struct requests requests = { 0 };
	enum request_fate fate;

	(void)state;
	requests_set(&requests, REQUEST_RELOAD);
	requests_set(&requests, REQUEST_REOPEN);
	assert_int_equal(requests_take(&requests, PHASE_RELOADING, 0, &fate), REQUEST_REOPEN);
	assert_true(requests_has(&requests, REQUEST_RELOAD));
	assert_int_equal(requests_take(&requests, PHASE_RUNNING, 1u << REQUEST_RELOAD, &fate), REQUEST_NONE);
	assert_int_equal(requests_take(&requests, PHASE_RUNNING, 0, &fate), REQUEST_RELOAD);
}

static void test_interrupts_get_impatient(void **state)
{
	struct requests requests = { 0 };

	(void)state;
	requests_set_signal(&requests, SIGINT, PHASE_RUNNING);
	assert_int_equal(requests.bits, 1u << REQUEST_STOP);
	requests_set_signal(&requests, SIGINT, PHASE_RUNNING);
	assert_true(requests_has(&requests, REQUEST_FAST_STOP));
	requests.bits = 0;
	requests_set_signal(&requests, SIGINT, PHASE_STOPPING);
	assert_int_equal(requests.bits, 1u << REQUEST_FAST_STOP);
	requests.bits = 0;
	requests_set_signal(&requests, SIGTERM, PHASE_STOPPING);
	assert_int_equal(requests.bits, 1u << REQUEST_STOP);
}

static void test_other_signals_ask_for_nothing(void **state)
{
	struct requests requests = { 0 };

	(void)state;
	requests_set_signal(&requests, SIGCHLD, PHASE_RUNNING);
	requests_set_signal(&requests, SIGWINCH, PHASE_RUNNING);
	assert_int_equal(requests.bits, 0);
}

static void test_no_request_is_undecided(void **state)
{
	(void)state;
	for (int request = 0; request < REQUESTS; request++) {
		assert_non_null(request_name((enum request)request));
		for (int phase = 0; phase < PHASES; phase++)
			assert_in_range(request_fate((enum request)request, (enum phase)phase), REQUEST_ACT, REQUEST_MOOT);
		/* Nothing but a stop, or a log, is of use to a daemon that stops. */
		if (request_fate((enum request)request, PHASE_STOPPING) == REQUEST_ACT)
			assert_true(request == REQUEST_FAST_STOP || request == REQUEST_REOPEN);
	}
}

struct heard { int count[NSIG]; };

static void on_signal(void *arg, int signo)
{
	struct heard *heard = arg;

	heard->count[signo]++;
}

/* Also when they are blocked before the loop has looked: as in the moment before an exec. */
static void test_caught_signals_are_found_again(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
	struct signals signals;
	struct heard heard = { .count = { 0 } };

	(void)state;
	signals_block();
	raise(SIGUSR1);
	signals_start(&signals, loop, on_signal, &heard);
	for (int i = 0; i < 100; i++)
		raise(SIGHUP);
	assert_int_equal(heard.count[SIGHUP], 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(heard.count[SIGHUP], 1);
	assert_int_equal(heard.count[SIGUSR1], 1);
	raise(SIGTERM);
	signals_block();
	signals_collect(&signals);
	assert_int_equal(heard.count[SIGTERM], 1);
	signals_unblock();
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(heard.count[SIGTERM], 1);
	signals_stop(&signals);
	signals_reset();
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_are_taken_by_precedence),
		cmocka_unit_test(test_each_signal_in_each_phase),
		cmocka_unit_test(test_what_must_wait_does_not_hold_up_what_is_behind_it),
		cmocka_unit_test(test_interrupts_get_impatient),
		cmocka_unit_test(test_other_signals_ask_for_nothing),
		cmocka_unit_test(test_no_request_is_undecided),
		cmocka_unit_test(test_caught_signals_are_found_again),
	};

	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
