/* SPDX-License-Identifier: Apache-2.0 */
/* What gantryctl refuses before it asks anybody. */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

enum { WORDS = 8 };

static const struct {
	const char *text;
	unsigned long max;
	bool ok;
	unsigned long want;
} counts[] = {
	{ "1", 10, true, 1 },
	{ "10", 10, true, 10 },
	{ "11", 10, false, 0 },
	{ "0", 10, false, 0 },
	{ "-1", (unsigned long)-1, false, 0 },
	{ "-18446744073709551615", 10, false, 0 },
	{ "+1", 10, false, 0 },
	{ " 1", 10, false, 0 },
	{ "1x", 10, false, 0 },
	{ "1.5", 10, false, 0 },
	{ "0x10", 100, false, 0 },
	{ "abc", 10, false, 0 },
	{ "", 10, false, 0 },
	{ "99999999999999999999", (unsigned long)-1, false, 0 },
};

static void test_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned long count = 0;

		if (ctl_parse_count(counts[i].text, counts[i].max, &count) != counts[i].ok)
			fail_msg("\"%s\" up to %lu", counts[i].text, counts[i].max);
		if (counts[i].ok)
			assert_int_equal(count, counts[i].want);
	}
}

static const struct {
	const char *name;
	char *argv[WORDS];
} misused[] = {
	{ "an option that status has not", { "status", "--all" } },
	{ "reload is never fast", { "reload", "--fast" } },
	{ "a word too many", { "reload", "now" } },
	{ "an unknown option", { "stop", "--force" } },
	{ "upgrade is never fast", { "upgrade", "--fast" } },
	{ "no number of workers", { "workers" } },
	{ "workers that are no number", { "workers", "many" } },
	{ "workers with a blank", { "workers", " 1" } },
	{ "workers with a second line", { "workers", "\n1" } },
	{ "too many workers", { "workers", "1000000" } },
	{ "two keys", { "conf", "store", "log" } },
	{ "two files", { "check", "a", "b" } },
	{ "jobs without end", { "jobs", "--count", "-1" } },
	{ "no jobs", { "jobs", "--count", "0" } },
	{ "jobs by a word", { "jobs", "--count", "ten" } },
	{ "too many jobs", { "jobs", "--count", "10001" } },
	{ "a state that there is not", { "jobs", "--state", "sleeping" } },
	{ "no job to show", { "show" } },
	{ "two jobs to show", { "show", "a", "b" } },
	{ "no queue to send to", { "send" } },
	{ "half a number to send", { "send", "q", "--count", "12abc" } },
	{ "less than nothing to send", { "send", "q", "--count", "-1" } },
	{ "a word where - is meant", { "send", "q", "file" } },
	{ "no queue to receive from", { "receive" } },
	{ "less than nothing to receive", { "receive", "q", "--count", "-1" } },
	{ "two jobs to follow", { "log", "-f", "a", "b" } },
	{ "no attempt at all", { "log", "--attempt", "0", "a" } },
	{ "an attempt by a word", { "log", "--attempt", "last", "a" } },
	{ "logs of something", { "logs", "worker" } },
	{ "no lines", { "logs", "-n", "0" } },
	{ "top of something", { "top", "job" } },
	{ "no shell", { "completion" } },
	{ "a shell that there is not", { "completion", "fish" } },
	{ "values of nothing", { "completion", "values", "TEXT" } },
	{ "no key to unlock", { "unlock" } },
	{ "a time without a unit", { "receive", "q", "--idle", "5" } },
};

/* Usage goes to stderr, where it would stand among the test's results. */
static int run_quietly(struct ctl *ctl, const struct command *command, int argc, char **argv)
{
	int kept = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int status;

	dup2(null, STDERR_FILENO);
	optind = 0;
	status = command->run(ctl, argc, argv);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(null);
	return status;
}

static void test_misuse_is_refused_with_status_2(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(misused); i++) {
		struct ctl ctl = { .file = "/nonexistent/gantry.yaml" };
		const struct command *command = command_find(misused[i].argv[0]);
		char *argv[WORDS] = { NULL };
		int argc = 0;

		/* A copy: getopt_long() moves the words about. */
		for (; misused[i].argv[argc] != NULL; argc++)
			argv[argc] = misused[i].argv[argc];
		assert_non_null(command);
		if (run_quietly(&ctl, command, argc, argv) != CONTROL_USAGE)
			fail_msg("%s", misused[i].name);
	}
}

/* Two options of one letter would be one. */
static void test_letters_of_a_command_differ(void **state)
{
	(void)state;
	for (const struct command *command = commands; command->name != NULL; command++) {
		unsigned char seen[256] = { 0 };

		for (const struct command_option *option = command->options; option->name != NULL; option++) {
			if (seen[(unsigned char)option->letter]++ > 0 || option->letter == '?')
				fail_msg("%s --%s", command->name, option->name);
		}
		assert_null(command->options[COMMAND_OPTIONS_MAX - 1].name);
	}
}

static void test_commands_are_found_by_their_whole_name(void **state)
{
	(void)state;
	for (const struct command *command = commands; command->name != NULL; command++)
		assert_ptr_equal(command_find(command->name), command);
	assert_null(command_find("stat"));
	assert_null(command_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_misuse_is_refused_with_status_2),
		cmocka_unit_test(test_letters_of_a_command_differ),
		cmocka_unit_test(test_commands_are_found_by_their_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
