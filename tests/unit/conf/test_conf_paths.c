/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf_paths.h"

static void test_a_service_uses_the_systems_directories(void **state)
{
	struct conf_paths paths;

	(void)state;
	setenv("XDG_STATE_HOME", "/home/x/state", 1);
	conf_paths_init(&paths, true);
	assert_string_equal(paths.state, LOCALSTATEDIR "/lib/gantry");
	assert_string_equal(paths.run, RUNSTATEDIR "/gantry");
	conf_paths_finish(&paths);
	conf_paths_finish(&paths);
}

/* The rule of ordinary users; root has the system's directories, so it is tested as nobody. */
static void test_a_user_has_his_own_directories(void **state)
{
	static const struct {
		const char *xdg_state, *xdg_run, *home;
		const char *want_state, *want_run;
	} cases[] = {
		{ "/x/state", "/x/run", "/home/x", "/x/state/gantry", "/x/run/gantry" },
		{ NULL, NULL, "/home/x", "/home/x/.local/state/gantry", "/tmp/gantry-65534/gantry" },
		{ "", "relative", "/home/x", "/home/x/.local/state/gantry", "/tmp/gantry-65534/gantry" },
		{ NULL, NULL, NULL, "/tmp/gantry-65534/state", "/tmp/gantry-65534/gantry" },
	};
	uid_t self = geteuid();

	(void)state;
	if (self == 0)
		assert_int_equal(seteuid(65534), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_paths paths;
		char *want_run = xasprintf("/tmp/gantry-%u/gantry", (unsigned)geteuid());
		char *want_state = xasprintf("/tmp/gantry-%u/state", (unsigned)geteuid());
		bool other_run = strncmp(cases[i].want_run, "/tmp", 4) == 0;
		bool other_state = strncmp(cases[i].want_state, "/tmp", 4) == 0;

		unsetenv("XDG_STATE_HOME");
		unsetenv("XDG_RUNTIME_DIR");
		unsetenv("HOME");
		if (cases[i].xdg_state != NULL)
			setenv("XDG_STATE_HOME", cases[i].xdg_state, 1);
		if (cases[i].xdg_run != NULL)
			setenv("XDG_RUNTIME_DIR", cases[i].xdg_run, 1);
		if (cases[i].home != NULL)
			setenv("HOME", cases[i].home, 1);
		conf_paths_init(&paths, false);
		if (eaccess(LOCALSTATEDIR "/lib/gantry", W_OK) != 0)
			assert_string_equal(paths.state, other_state ? want_state : cases[i].want_state);
		if (eaccess(RUNSTATEDIR "/gantry", W_OK) != 0)
			assert_string_equal(paths.run, other_run ? want_run : cases[i].want_run);
		conf_paths_finish(&paths);
		free(want_run);
		free(want_state);
	}
	if (self == 0)
		assert_int_equal(seteuid(0), 0);
}

static void test_names_in_defaults_are_replaced(void **state)
{
	const struct conf_paths paths = { .state = (char *)"/s", .run = (char *)"/r" };
	char *text = conf_paths_expand(&paths, "sqlite://$STATE/x:$RUN$");

	(void)state;
	assert_string_equal(text, "sqlite:///s/x:/r$");
	free(text);
}

static void test_missing_directories_are_made_for_us_alone(void **state)
{
	char dir[] = "/tmp/test_conf_paths.XXXXXX";
	struct error err = { 0 };
	struct stat st;
	char *file, *parent, *grandparent;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/a/b/gantry.db", dir);
	parent = xasprintf("%s/a/b", dir);
	grandparent = xasprintf("%s/a", dir);
	assert_true(conf_paths_make(file, &err));
	assert_true(conf_paths_make(file, &err));
	assert_int_equal(stat(parent, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_not_equal(access(file, F_OK), 0);
	free(file);
	file = xasprintf("%s/a/b/c", dir);
	assert_int_equal(symlink("/nowhere", file), 0);
	free(parent);
	parent = xasprintf("%s/a/b/c/d", dir);
	assert_false(conf_paths_make(parent, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
	unlink(file);
	free(file);
	file = xasprintf("%s/a/b", dir);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(rmdir(grandparent), 0);
	assert_int_equal(rmdir(dir), 0);
	free(file);
	free(parent);
	free(grandparent);
}

/* Somebody else may have made a directory of our name in /tmp before us. */
static void test_a_strangers_directory_is_refused(void **state)
{
	char dir[] = "/tmp/gantry-test.XXXXXX";
	struct error err = { 0 };
	char *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/control.sock", dir);
	assert_true(conf_paths_make(file, &err));
	assert_int_equal(chmod(dir, 0777), 0);
	assert_false(conf_paths_make(file, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_int_equal(rmdir(dir), 0);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_service_uses_the_systems_directories),
		cmocka_unit_test(test_a_user_has_his_own_directories),
		cmocka_unit_test(test_names_in_defaults_are_replaced),
		cmocka_unit_test(test_missing_directories_are_made_for_us_alone),
		cmocka_unit_test(test_a_strangers_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
