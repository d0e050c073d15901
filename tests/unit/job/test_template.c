/* SPDX-License-Identifier: Apache-2.0 */
/* test_template.c - names in texts. */
#include <string.h>

#include "../cmocka_all.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/template.h"

static const struct expansion {
	const char *text, *want;
} expansions[] = {
	{ "", "" },
	{ "plain }} text", "plain }} text" },
	{ "{{ project }}", "shop" },
	{ "{{project}}-{{	ref }}.", "shop-main." },
	{ "{{ id }} {{ deployer }} {{ queue }} {{ commit }} {{ stage }}", "j1 d q  " },
	{ "{{ attempt }}/{{ fence }}", "3/42" },
	{ "{{ body }}", "{\"a\":1}" },
	{ "{{ payload.text }}", "{{ id }}" },
	{ "{{ payload.number }} {{ payload.real }} {{ payload.yes }} {{ payload.null }}{{ payload.none }}", "7 1.5 true " },
	{ "{{ payload.deep.list[1].x }}", "y" },
	{ "{{ payload.deep.list }}", "[0,{\"x\":\"y\"}]" },
	{ "{{ payload.deep.list[9] }}", "" },
};

static void names_stand_for_values(void **state)
{
	static const char text[] = "{\"text\":\"{{ id }}\",\"number\":7,\"real\":1.5,\"yes\":true,\"null\":null,"
		"\"deep\":{\"list\":[0,{\"x\":\"y\"}]}}";
	json_t *payload = json_at_parse(text, strlen(text), NULL);
	struct job *job = job_create();
	const struct template_values values = { .job = job, .payload = payload };

	(void)state;
	job->id = xstrdup("j1");
	job->project = xstrdup("shop");
	job->deployer = xstrdup("d");
	job->queue = xstrdup("q");
	job->ref = xstrdup("main");
	job->body = xstrdup("{\"a\":1}");
	job->attempt.number = 3;
	job->grant = 42;
	for (size_t i = 0; i < ARRAY_SIZE(expansions); i++) {
		struct error err = { 0 };
		struct buf out;

		buf_init(&out, 1000);
		assert_true(template_check(expansions[i].text, &err));
		assert_true(template_expand(expansions[i].text, &values, &out, &err));
		assert_string_equal(buf_text(&out), expansions[i].want);
		buf_finish(&out);
	}
	json_decref(payload);
	job_destroy(job);
}

#define KNOWN "expected one of id project deployer queue commit ref stage attempt fence body payload.NAME in \"{{ }}\", found "

static const struct expansion bad[] = {
	{ "{{ projekt }}", KNOWN "\"projekt\"" },
	{ "{{ }}", KNOWN "\"\"" },
	{ "{{}}", KNOWN "\"\"" },
	{ "{{ payload }}", KNOWN "\"payload\"" },
	{ "{{ payload. }}", KNOWN "\"payload.\"" },
	{ "{{ payload.a..b }}", KNOWN "\"payload.a..b\"" },
	{ "{{ payload.a[x] }}", KNOWN "\"payload.a[x]\"" },
	{ "{{ payload.a[1 }}", KNOWN "\"payload.a[1\"" },
	{ "{{ project | upper }}", KNOWN "\"project | upper\"" },
	{ "a {{ project", "expected \"}}\" after \"{{\", found the end of the text" },
};

static void unknown_names_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };

		assert_false(template_check(bad[i].text, &err));
		assert_string_equal(err.text, bad[i].want);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void long_name_is_refused(void **state)
{
	char text[300];
	struct error err = { 0 };

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "{{payload.", 10);
	memcpy(text + sizeof(text) - 3, "}}", 3);
	assert_false(template_check(text, &err));
	assert_string_equal(err.text, "expected a name of at most 127 bytes in \"{{ }}\", found 295");
}

static void limit_is_kept(void **state)
{
	struct job *job = job_create();
	const struct template_values values = { .job = job, .body = "0123456789" };
	struct error err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 15);
	assert_false(template_expand("{{ body }}{{ body }}", &values, &out, &err));
	assert_string_equal(err.text, "expected at most 15 bytes from \"{{ body }}{{ body }}\", found more");
	buf_finish(&out);
	job_destroy(job);
}

static void the_message_is_needed_only_by_those_who_name_it(void **state)
{
	(void)state;
	assert_true(template_wants_payload("{{ project }}/{{payload.a[0].b}}"));
	assert_false(template_wants_payload("{{ project }}/{{ ref }} payload"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stand_for_values),
		cmocka_unit_test(unknown_names_are_named),
		cmocka_unit_test(long_name_is_refused),
		cmocka_unit_test(limit_is_kept),
		cmocka_unit_test(the_message_is_needed_only_by_those_who_name_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
