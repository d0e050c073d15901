/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_paths.h"
#include "conf/conf_schema.h"
#include "conf/conf_value.h"
#include "config.h"

typedef void row_fn(const struct conf_row *row);

static void each_row(const struct conf_row *rows, row_fn *fn)
{
	for (; rows->key != NULL; rows++) {
		fn(rows);
		if (rows->rows != NULL)
			each_row(rows->rows, fn);
	}
}

static void check_default_texts(const struct conf_row *row)
{
	struct texts texts = { 0 };
	struct buf text;

	buf_init(&text, 1024);
	assert_true(conf_texts_parse(row, row->def, &texts));
	for (size_t i = 0; i < texts.count; i++)
		buf_printf(&text, "%s%s", i > 0 ? ", " : "", texts.at[i]);
	assert_string_equal(buf_text(&text), row->def);
	assert_in_range(texts.count, 1, row->max);
	buf_finish(&text);
	texts_finish(&texts);
}

static void check_default(const struct conf_row *row)
{
	static const struct conf_paths paths = { .state = (char *)"/state dir", .run = (char *)"/run dir" };
	union { char *text; int64_t number; unsigned word; bool yes; } field = { 0 };
	struct buf text;
	char *def;

	if (row->def == NULL)
		return;
	if (row->kind == CONF_TEXTS) {
		check_default_texts(row);
		return;
	}
	def = conf_paths_expand(&paths, row->def);
	buf_init(&text, 1024);
	assert_true(conf_kind_is_scalar(row->kind));
	if (!conf_value_parse(row, def, &field) || !conf_value_format(row, &field, &text))
		fail_msg("the default of %s, \"%s\", is refused", row->key, def);
	assert_string_equal(buf_text(&text), def);
	buf_finish(&text);
	if (row->kind >= CONF_WORD && row->kind <= CONF_TEMPLATE)
		free(field.text);
	free(def);
}

static void test_defaults_are_what_they_say(void **state)
{
	(void)state;
	each_row(conf_schema, check_default);
}

static void check_row(const struct conf_row *row)
{
	if (row->internal || row->kind == CONF_ABSENT)
		return;
	if (row->text == NULL || strlen(row->text) < 10 || row->text[strlen(row->text) - 1] != '.')
		fail_msg("%s has no sentence", row->key);
	if (row->required && row->def != NULL)
		fail_msg("%s is required and has a default", row->key);
	if ((row->kind == CONF_UINT || row->kind == CONF_DURATION || row->kind == CONF_SIZE) && row->min >= row->max)
		fail_msg("%s has no bounds", row->key);
	if ((row->kind == CONF_TEXTS || row->kind == CONF_TEMPLATES || row->kind == CONF_TEMPLATE_PAIRS) && row->max == 0)
		fail_msg("%s has no limit", row->key);
}

static void test_rows_are_complete(void **state)
{
	(void)state;
	each_row(conf_schema, check_row);
}

static void test_words_are_those_of_their_modules(void **state)
{
	const char *const *policies = conf_row_at("deployers.lock.policy")->words;
	const char *const *levels = conf_row_at("log.level")->words;
	const char *const *formats = conf_row_at("log.format")->words;
	enum lock_policy policy;
	enum log_level level;
	enum log_format format;

	(void)state;
	for (int i = 0; i < LOCK_POLICIES; i++) {
		assert_true(lock_policy_parse(policies[i], &policy));
		assert_int_equal(policy, i);
	}
	assert_null(policies[LOCK_POLICIES]);
	for (size_t i = 0; levels[i] != NULL; i++)
		assert_true(log_level_parse(levels[i], &level));
	for (size_t i = 0; formats[i] != NULL; i++)
		assert_true(log_format_parse(formats[i], &format));
}

static void test_values_keep_to_their_bounds(void **state)
{
	static const struct {
		const char *path, *given;
		bool want;
	} cases[] = {
		{ "supervisor.workers", "1", true }, { "supervisor.workers", "512", true },
		{ "supervisor.workers", "513", false }, { "supervisor.workers", "-1", false },
		{ "supervisor.workers", " 1", false }, { "supervisor.workers", "0x1", false },
		{ "supervisor.workers", "", false }, { "supervisor.workers", "99999999999999999999", false },
		{ "supervisor.watchdog", "0", true }, { "supervisor.watchdog", "999ms", false },
		{ "supervisor.watchdog", "1s", true }, { "supervisor.ready_timeout", "0", false },
		{ "supervisor.control_socket", "/a/b", true }, { "supervisor.control_socket", "a/b", false },
		{ "log.to", "syslog", true }, { "log.to", "/a", true }, { "log.to", "Syslog", false },
		{ "log.level", "info", true }, { "log.level", "inf", false }, { "log.level", "", false },
		{ "store", "memory:", true }, { "store", "memory:x", false }, { "store", "sqlite:///a b.db", true },
		{ "store", "sqlite://a.db", false }, { "store", "sqlite:///", false }, { "store", "sqlite", false },
		{ "store", "redis://h", true }, { "aws.endpoint_url", "http://h:1", true },
#ifdef WITH_POSTGRESQL
		{ "store", "postgresql://gantry@h:5432/d?sslmode=require", true }, { "store", "postgresql:///d", true },
		{ "store", "postgresql:d", false },
#endif
		{ "aws.endpoint_url", "http://", false }, { "aws.endpoint_url", "http:///x", false },
		{ "aws.endpoint_url", "http://a b", false }, { "aws.endpoint_url", "HTTP://h", false },
		{ "aws.region", "us-east-1", true }, { "aws.region", "", false }, { "aws.region", "a\nb", false },
		{ "env_file", ".env", true }, { "env_file", "", false },
		{ "deployers.execute_command", "true", true }, { "deployers.execute_command", "yes", false },
		{ "deployers.lock.policy", "parallel", true }, { "deployers.lock.policy", "queu", false },
		{ "errors.url", "unix:///run/redis.sock", true }, { "errors.url", "unix://redis.sock", false },
		{ "errors.url", "rediss://h", true }, { "errors.url", "redis:h", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct conf_row *row = conf_row_at(cases[i].path);
		union { char *text; int64_t number; } field = { 0 };

		assert_non_null(row);
		if (conf_value_parse(row, cases[i].given, &field) != cases[i].want)
			fail_msg("%s: \"%s\": want %d", cases[i].path, cases[i].given, cases[i].want);
		if (cases[i].want && row->kind >= CONF_WORD)
			free(field.text);
	}
}

static void test_rows_are_found_by_path(void **state)
{
	(void)state;
	assert_string_equal(conf_row_at("queues.url")->key, "url");
	assert_int_equal(conf_row_at("supervisor.user")->applies, CONF_ON_RESTART);
	assert_int_equal(conf_row_at("supervisor.pid_file")->applies, CONF_ON_RESTART);
	assert_int_equal(conf_row_at("supervisor.control_socket")->applies, CONF_ON_RESTART);
	assert_int_equal(conf_row_at("supervisor.workers")->applies, CONF_ON_RELOAD);
	assert_null(conf_row_at("queues.nothing"));
	assert_null(conf_row_at("queues.url.x"));
	assert_null(conf_row_at(""));
}

static void test_masked_urls_keep_all_but_the_password(void **state)
{
	static const char *const cases[][2] = {
		{ "redis://h:1/0", "redis://h:1/0" },
		{ "redis://u:pw@h:1/0", "redis://u:********@h:1/0" },
		{ "redis://:pw@h", "redis://:********@h" },
		{ "redis://pw@h", "redis://********@h" },
		{ "redis://u:p@w@h", "redis://u:********@h" },
		{ "redis://u:p/w@h/0", "redis://u:********@h/0" },
		{ "unix:///run/redis.sock", "unix:///run/redis.sock" },
	};
	const struct conf_row *row = conf_row_at("errors.url");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf text;

		buf_init(&text, 1024);
		assert_true(conf_value_format_masked(row, &cases[i][0], &text));
		assert_string_equal(buf_text(&text), cases[i][1]);
		buf_finish(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_what_they_say),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_words_are_those_of_their_modules),
		cmocka_unit_test(test_values_keep_to_their_bounds),
		cmocka_unit_test(test_rows_are_found_by_path),
		cmocka_unit_test(test_masked_urls_keep_all_but_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
