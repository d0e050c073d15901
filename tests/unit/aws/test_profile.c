/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/profile.h"
#include "conformance.h"

enum { BIG_BYTES = (1 << 20) + 1, MANY_KEYS = 600 };

static struct profile *load(const char *config, const char *credentials, const char *name, struct error *err)
{
	scratch_write(".aws/config", config != NULL ? config : "");
	scratch_write(".aws/credentials", credentials != NULL ? credentials : "");
	return profile_load(name, err);
}

static void assert_text(const char *name, const char *found, const char *want)
{
	if (found == NULL && want == NULL)
		return;
	if (found == NULL || want == NULL || strcmp(found, want) != 0)
		fail_msg("%s: found %s, want %s", name, found != NULL ? found : "(nothing)",
			want != NULL ? want : "(nothing)");
}

static void test_reads_keys_of_both_files(void **state)
{
	static const struct {
		const char *name, *config, *credentials, *profile, *key, *want;
	} cases[] = {
		{ "plain", "[default]\nregion = us-east-1\n", "", NULL, "region", "us-east-1" },
		{ "named", "[profile x]\nregion=eu-west-1", "", "x", "region", "eu-west-1" },
		{ "absent key", "[profile x]\nregion=eu-west-1", "", "x", "output", NULL },
		{ "no prefix in config", "[x]\nregion=eu-west-1", "", "x", "region", NULL },
		{ "prefix in credentials", "", "[profile x]\nregion=eu-west-1", "x", "region", NULL },
		{ "credentials win", "[profile x]\na=1", "[x]\na=2", "x", "a", "2" },
		{ "names keep their case", "[profile X]\na=1", "", "x", "a", NULL },
		{ "keys lose theirs", "[default]\nAWS_Access_Key_Id=k", "", NULL, "aws_access_key_id", "k" },
		{ "comment behind a blank", "[default]\na = b # c", "", NULL, "a", "b" },
		{ "comment without a blank", "[default]\na = b#c", "", NULL, "a", "b#c" },
		{ "last one counts", "[default]\na=1\na=2", "", NULL, "a", "2" },
		{ "continued", "[default]\na=1\n  2", "", NULL, "a", "1\n2" },
		{ "byte order mark", "\xef\xbb\xbf[default]\na=1", "", NULL, "a", "1" },
		{ "line ends of DOS", "[default]\r\na=1\r\n\r\nb=2\r\n", "", NULL, "a", "1" },
		{ "prefixed default displaces", "[default]\na=1\nb=2\n[profile default]\na=3", "", NULL, "b", NULL },
		{ "sections of services are no profiles", "[services s]\na=1", "", "s", "a", NULL },
		{ "sso-session neither", "[sso-session s]\na=1", "", "s", "a", NULL },
		{ "a name with a blank is dropped with its lines", "[profile a b]\nx=1\n y\n[profile c]\na=1", "", "c",
		  "a", "1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };
		struct profile *profile;

		clear_environment();
		profile = load(cases[i].config, cases[i].credentials, cases[i].profile, &err);
		if (profile == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
		assert_text(cases[i].name, profile_get(profile, cases[i].key), cases[i].want);
		profile_destroy(profile);
	}
}

static void test_names_file_and_line_of_what_is_malformed(void **state)
{
	static const struct { const char *name, *config, *want; } cases[] = {
		{ "head without an end", "\n[profile x\n", "config:2: profile definition must end with ']'" },
		{ "junk behind a head", "[profile x] y\n", "config:1: profile definition must end with ']'" },
		{ "key before any head", "# c\na=1\n", "config:2: expected a profile definition" },
		{ "no equals sign", "[default]\n\na\n", "config:3: expected an '=' sign" },
		{ "no name", "[default]\n=1\n", "config:2: property did not have a name" },
		{ "nothing to continue", "[default]\n a=1\n", "config:2: expected a property definition" },
		{ "nested without equals", "[default]\na=\n b\n", "config:3: expected an '=' sign defining a sub-" },
		{ "nested without name", "[default]\na=\n =b\n", "config:3: sub-property did not have a name" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };

		clear_environment();
		assert_null(load(cases[i].config, NULL, NULL, &err));
		assert_int_equal(err.kind, ERROR_REFUSED);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: found \"%s\"", cases[i].name, err.text);
	}
}

/* head, then count times a number of width digits with a text before and behind it. */
static char *many(const char *head, const char *before, int width, const char *behind, size_t count)
{
	size_t size = strlen(head) + count * (strlen(before) + (size_t)width + strlen(behind) + 8) + 1;
	char *text = malloc(size);
	size_t used = (size_t)snprintf(text, size, "%s", head);

	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%0*zu%s", before, width, i, behind);
	return text;
}

static void test_refuses_what_is_over_a_limit(void **state)
{
	const struct { const char *name; char *text; const char *want; } cases[] = {
		{ "file", many("", "# ", 99, "\n", BIG_BYTES / 100), "larger than" },
		{ "lines", many("", "#", 1, "\n", LIMIT_PROFILE_FILE_LINES + 1), "too many lines" },
		{ "line", many("[default]\na=", "", 9, "", LIMIT_PROFILE_LINE_BYTES / 9 + 1), "line is too long" },
		{ "keys", many("[default]\n", "k", 1, "=1\n", MANY_KEYS), "too many keys" },
		{ "value", many("[default]\na=1\n", " ", 99, "\n", LIMIT_PROFILE_LINE_BYTES / 99 + 1),
		  "value is too long" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };

		clear_environment();
		assert_null(load(cases[i].text, NULL, NULL, &err));
		assert_int_equal(err.kind, ERROR_REFUSED);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("%s: found \"%s\"", cases[i].name, err.text);
		free(cases[i].text);
	}
}

static void test_keeps_a_nul_byte_out(void **state)
{
	static const char text[] = "[default]\na=1\0\n";
	struct error err = { 0 };

	(void)state;
	assert_null(profile_file_parse(PROFILE_FILE_CONFIG, "f", text, sizeof(text) - 1, &err));
	assert_string_equal(err.text, "f:2: NUL byte");
}

static void test_finds_the_files_and_the_profile(void **state)
{
	struct error err = { 0 };
	struct profile *profile;

	(void)state;
	clear_environment();
	profile = profile_load(NULL, &err);
	assert_non_null(profile);
	assert_string_equal(profile_name(profile), "default");
	assert_false(profile_is_named(profile));
	assert_false(profile_exists(profile, NULL));
	profile_destroy(profile);

	setenv("AWS_CONFIG_FILE", scratch_write("elsewhere", "[profile p]\na=1\n[profile q]\na=2\n"), 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	setenv("AWS_DEFAULT_PROFILE", "q", 1);
	profile = profile_load(NULL, &err);
	assert_string_equal(profile_get(profile, "a"), "2");
	assert_true(profile_is_named(profile));
	profile_destroy(profile);
	setenv("AWS_PROFILE", "p", 1);
	profile = profile_load(NULL, &err);
	assert_string_equal(profile_get(profile, "a"), "1");
	assert_string_equal(profile_get_of(profile, "q", "a"), "2");
	assert_true(profile_exists(profile, "q"));
	profile_destroy(profile);
	profile = profile_load("q", &err);
	assert_string_equal(profile_name(profile), "q");
	assert_string_equal(profile_get(profile, "a"), "2");
	profile_destroy(profile);

	clear_environment();
	setenv("AWS_CONFIG_FILE", "~/tilde", 1);
	scratch_write("tilde", "[default]\na=home\n");
	profile = profile_load(NULL, &err);
	assert_string_equal(profile_get(profile, "a"), "home");
	profile_destroy(profile);
	unsetenv("HOME");
	unsetenv("AWS_CONFIG_FILE");
	profile = profile_load(NULL, &err);
	assert_non_null(profile);
	assert_string_equal(profile_path(profile, PROFILE_FILE_CONFIG), "");
	profile_destroy(profile);
}

static void test_refuses_a_folder_in_place_of_a_file(void **state)
{
	struct error err = { 0 };

	(void)state;
	clear_environment();
	setenv("AWS_CONFIG_FILE", scratch_folder(), 1);
	assert_null(profile_load(NULL, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_non_null(strstr(err.text, "not a regular file"));
}

static void test_reads_settings_of_one_service(void **state)
{
	struct error err = { 0 };
	struct profile *profile;

	(void)state;
	clear_environment();
	profile = load("[default]\nservices = local\n[services local]\nsqs =\n  endpoint_url = http://a\n"
		"  Endpoint_Url = http://b:1/x=y\necs =\n endpoint_url=http://c\n[services other]\nsns =\n endpoint_url = d\n",
		NULL, NULL, &err);
	assert_text("sqs", profile_service(profile, "sqs", "endpoint_url"), "http://b:1/x=y");
	assert_text("ecs", profile_service(profile, "ecs", "endpoint_url"), "http://c");
	assert_text("another section", profile_service(profile, "sns", "endpoint_url"), NULL);
	assert_text("another key", profile_service(profile, "sqs", "region"), NULL);
	profile_destroy(profile);
	profile = load("[default]\nservices = s\n[services s]\nsqs =\n  endpoint_url = a\nsqs =\n  other = b\n", NULL, NULL,
		&err);
	assert_text("given anew", profile_service(profile, "sqs", "endpoint_url"), NULL);
	assert_text("given anew", profile_service(profile, "sqs", "other"), "b");
	profile_destroy(profile);
	profile = load("[default]\nservices = gone\n", NULL, NULL, &err);
	assert_text("no such section", profile_service(profile, "sqs", "endpoint_url"), NULL);
	profile_destroy(profile);
}

/* The SDKs' cases */

/* Whether a profile that the input mentions but the output lacks is not there, and the same for keys: the names are
 * what stands in brackets and before equals signs. */
static void assert_nothing_else(const char *name, const struct profile *profile, const char *text, const json_t *want)
{
	char *copy = strdup(text != NULL ? text : "");

	for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char word[256];
		const char *wanted;
		json_t *keys;

		if (sscanf(line, " [ profile %255[^] \t]", word) == 1 || sscanf(line, " [ %255[^] \t]", word) == 1) {
			if (json_object_get(want, word) == NULL && profile_exists(profile, word))
				fail_msg("%s: there is a profile \"%s\"", name, word);
			continue;
		}
		if (sscanf(line, "%255[^= \t]", word) != 1)
			continue;
		json_object_foreach((json_t *)want, wanted, keys) {
			if (json_object_get(keys, word) == NULL && profile_get_of(profile, wanted, word) != NULL)
				fail_msg("%s: profile \"%s\" has a key \"%s\"", name, wanted, word);
		}
	}
	free(copy);
}

static void run_conformance_case(const json_t *test)
{
	const char *name = json_string_value(json_object_get(test, "name"));
	const json_t *input = json_object_get(test, "input");
	const char *config = json_string_value(json_object_get(input, "configFile"));
	const char *credentials = json_string_value(json_object_get(input, "credentialsFile"));
	const json_t *output = json_object_get(test, "output");
	const char *want_error = json_string_value(json_object_get(output, "errorContaining"));
	json_t *profiles = json_object_get(json_object_get(output, "config"), "profiles");
	struct error err = { 0 };
	struct profile *profile = load(config, credentials, NULL, &err);
	const char *section, *key;
	json_t *keys, *value;

	if (want_error != NULL) {
		if (profile != NULL || strcasestr(err.text, want_error) == NULL)
			fail_msg("%s: found \"%s\", want \"%s\"", name, err.text, want_error);
		return;
	}
	if (profile == NULL)
		fail_msg("%s: %s", name, err.text);
	json_object_foreach(profiles, section, keys) {
		if (!profile_exists(profile, section))
			fail_msg("%s: no profile \"%s\"", name, section);
		json_object_foreach(keys, key, value)
			assert_text(name, profile_get_of(profile, section, key), json_string_value(value));
	}
	assert_nothing_else(name, profile, config, profiles);
	assert_nothing_else(name, profile, credentials, profiles);
	profile_destroy(profile);
}

static void test_agrees_with_the_sdks(void **state)
{
	json_t *doc = conformance_load("profile-parser-tests.json");
	json_t *test;
	size_t i = 0;

	(void)state;
	clear_environment();
	json_array_foreach(json_object_get(doc, "tests"), i, test)
		run_conformance_case(test);
	assert_true(doc == NULL || i > 0);
	print_message("# %zu cases of the SDKs\n", i);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_keys_of_both_files),
		cmocka_unit_test(test_names_file_and_line_of_what_is_malformed),
		cmocka_unit_test(test_refuses_what_is_over_a_limit),
		cmocka_unit_test(test_keeps_a_nul_byte_out),
		cmocka_unit_test(test_finds_the_files_and_the_profile),
		cmocka_unit_test(test_refuses_a_folder_in_place_of_a_file),
		cmocka_unit_test(test_reads_settings_of_one_service),
		cmocka_unit_test(test_agrees_with_the_sdks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
