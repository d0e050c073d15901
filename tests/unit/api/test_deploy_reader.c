/* SPDX-License-Identifier: Apache-2.0 */
#include "api/deploy_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"

static const struct deploy_reader ann = { "ci", "10.0.0.1", "job" }, bob = { "ci", "10.0.0.2", "job" };

struct fixture {
	char directory[64];
	char *state_dir;
};

static int setup(void **state)
{
	struct fixture *fixture = xnew(struct fixture);

	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/test_deploy_reader.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	fixture->state_dir = xasprintf("%s/state", fixture->directory);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char *path = xasprintf("%s/api-readers", fixture->state_dir);

	unlink(path);
	rmdir(fixture->state_dir);
	rmdir(fixture->directory);
	free(path);
	free(fixture->state_dir);
	free(fixture);
	return 0;
}

static void expect(struct deploy_readers *readers, const struct deploy_reader *reader, unsigned attempt, int64_t offset)
{
	struct deploy_place place = deploy_reader_place(readers, reader);

	assert_int_equal(place.attempt, attempt);
	assert_int_equal(place.offset, offset);
}

static void readers_have_places_of_their_own(void **state)
{
	struct deploy_readers *readers = deploy_readers_create(NULL);

	(void)state;
	expect(readers, &ann, 0, 0);
	deploy_reader_note(readers, &ann, (struct deploy_place){ 1, 70 });
	deploy_reader_note(readers, &bob, (struct deploy_place){ 2, 5 });
	expect(readers, &ann, 1, 70);
	expect(readers, &bob, 2, 5);
	deploy_reader_note(readers, &ann, (struct deploy_place){ 3, (int64_t)1 << 40 });
	expect(readers, &ann, 3, (int64_t)1 << 40);
	expect(readers, &bob, 2, 5);
	deploy_readers_destroy(readers);
}

/* A reload: the new process is there before the old one has gone. */
static void places_are_those_of_all_processes(void **state)
{
	struct fixture *fixture = *state;
	struct deploy_readers *old = deploy_readers_create(fixture->state_dir), *young;

	deploy_reader_note(old, &ann, (struct deploy_place){ 1, 10 });
	young = deploy_readers_create(fixture->state_dir);
	expect(young, &ann, 1, 10);
	deploy_reader_note(old, &ann, (struct deploy_place){ 1, 20 });
	expect(young, &ann, 1, 20);
	deploy_readers_destroy(old);
	deploy_readers_destroy(young);
	young = deploy_readers_create(fixture->state_dir);
	expect(young, &ann, 1, 20);
	deploy_readers_destroy(young);
}

static void who_has_not_called_for_longest_is_forgotten(void **state)
{
	struct deploy_readers *readers = deploy_readers_create(NULL);
	size_t known = 0, late = 0;

	(void)state;
	for (int i = 0; i < 3 * LIMIT_DEPLOY_READERS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "job-%d", i);
		if (i == 2 * LIMIT_DEPLOY_READERS)
			clock_shift(0, 10000);
		deploy_reader_note(readers, &(struct deploy_reader){ "ci", "peer", name }, (struct deploy_place){ 1, i });
	}
	for (int i = 0; i < 3 * LIMIT_DEPLOY_READERS; i++) {
		struct deploy_place place;
		char name[32];

		snprintf(name, sizeof(name), "job-%d", i);
		place = deploy_reader_place(readers, &(struct deploy_reader){ "ci", "peer", name });
		assert_true(place.attempt == 0 || place.offset == i);
		known += place.attempt != 0;
		late += place.attempt != 0 && i >= 2 * LIMIT_DEPLOY_READERS;
	}
	assert_int_equal(known, LIMIT_DEPLOY_READERS);
	/* A set takes eight: some of the last third fall into sets that others of it have filled. */
	assert_true(late > LIMIT_DEPLOY_READERS * 3 / 4);
	deploy_readers_destroy(readers);
}

static void a_place_that_cannot_be_had_is_done_without(void **state)
{
	struct deploy_readers *readers = deploy_readers_create("/proc/no-such-place");

	(void)state;
	deploy_reader_note(readers, &ann, (struct deploy_place){ 1, 7 });
	expect(readers, &ann, 1, 7);
	deploy_readers_destroy(readers);
	deploy_readers_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_have_places_of_their_own),
		cmocka_unit_test_setup_teardown(places_are_those_of_all_processes, setup, teardown),
		cmocka_unit_test(who_has_not_called_for_longest_is_forgotten),
		cmocka_unit_test(a_place_that_cannot_be_had_is_done_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
