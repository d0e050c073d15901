/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/conf_canonical.h"
#include "conf/conf_paths.h"
#include "conf/conf_schema.h"
#include "conf/conf_value.h"

static void set(const char *path, const char *value, void *section)
{
	const char *key = strrchr(path, '.');
	char *parent = xstrndup(path, key != NULL ? (size_t)(key - path) : 0);
	const struct conf_row *rows = key != NULL ? conf_row_at(parent)->rows : conf_schema;
	const struct conf_row *row = conf_row_of(rows, key != NULL ? key + 1 : path, section);

	free(parent);
	assert_non_null(row);
	assert_true(conf_value_parse(row, value, conf_field(row, section)));
}

/* Zeroes are not within every key's bounds. */
static void *with_defaults(const struct conf_row *rows, void *section)
{
	static const struct conf_paths paths = { .state = (char *)"/state", .run = (char *)"/run" };

	for (; rows->key != NULL; rows++) {
		if (rows->kind == CONF_SECTION)
			with_defaults(rows->rows, conf_field(rows, section));
		if (rows->def != NULL) {
			char *def = conf_paths_expand(&paths, rows->def);

			assert_true(rows->kind == CONF_TEXTS ? conf_texts_parse(rows, def, conf_field(rows, section)) :
				conf_value_parse(rows, def, conf_field(rows, section)));
			free(def);
		}
	}
	return section;
}

static void *element(const char *key, struct conf *conf, const char *name)
{
	const struct conf_row *row = conf_row_at(key);

	return with_defaults(row->rows, conf_element_add(row, conf, name));
}

static struct conf_api *with_api(struct conf *conf)
{
	const struct conf_row *row = conf_row_at("api");
	struct conf_api *api = with_defaults(row->rows, conf_option(row, conf, true));
	const struct conf_row *tokens = conf_row_at("api.tokens");
	struct conf_token *token = with_defaults(tokens->rows, conf_element_add(tokens, api, NULL));

	set("api.tokens.name", "ci", token);
	set("api.tokens.token", "hunter2\\hunter2 ", token);
	set("api.body_limit", "64KiB", api);
	return api;
}

/* A configuration with something of every kind, awkward texts included. */
static struct conf *sample(void)
{
	struct conf *conf = with_defaults(conf_schema, xnew(struct conf));
	struct conf_queue *queue = element("queues", conf, "de-ploys_1");
	struct conf_deployer *deployer = element("deployers", conf, "mystical");
	struct conf_sink *sink = element("errors", conf, NULL);

	set("supervisor.workers", "7", &conf->supervisor);
	set("supervisor.drain_timeout", "90s", &conf->supervisor);
	set("log.to", "/var/log/a b.log", &conf->log);
	set("log.level", "debug", &conf->log);
	set("store", "sqlite:///var/lib/gantry/gantry.db", conf);
	set("aws.secret_key", "s3cr\\et", &conf->aws);
	set("queues.url", "https://sqs.us-east-1.amazonaws.com/123456789012/q", queue);
	set("queues.malformed", "dead_letter", queue);
	pairs_set(&queue->body, "project", "{{ body }}");
	set("deployers.task_definition", "family:3", deployer);
	set("deployers.lock.key", "{{ project }}\t\\n\n", &deployer->lock);
	set("deployers.lock.policy", "latest", &deployer->lock);
	set("deployers.network.assign_public_ip", "true", &deployer->network);
	set("deployers.timeout", "0", deployer);
	texts_add(&deployer->network.subnets, "subnet-1");
	texts_add(&deployer->network.subnets, "subnet-2");
	texts_add(&deployer->command, "");
	texts_add(&deployer->command, "two\nlines");
	pairs_set(&deployer->environment, "TOKEN", "hunter2");
	pairs_set(&deployer->tags, "a.dotted\tkey", "v");
	set("errors.url", "redis://user:p@ss/w@h:1/0", sink);
	sink = element("errors", conf, NULL);
	set("errors.keep", "10", sink);
	pairs_set(&conf->environment, "AWS_SECRET_ACCESS_KEY", "hunter2");
	return conf;
}

static char *canonical(const struct conf *conf, bool mask)
{
	struct buf text;

	buf_init(&text, LIMIT_CONF_BYTES);
	conf_canonical_write(conf, mask, &text);
	assert_false(text.overflowed);
	return buf_take(&text);
}

static void test_reads_what_it_writes(void **state)
{
	struct conf *conf = sample(), *back;
	char *text = canonical(conf, false), *again;
	struct error err = { 0 };

	(void)state;
	back = conf_canonical_read(text, strlen(text), &err);
	assert_non_null(back);
	again = canonical(back, false);
	assert_string_equal(text, again);
	assert_int_equal(back->supervisor.workers, 7);
	assert_int_equal(back->supervisor.drain_timeout_ms, 90000);
	assert_null(back->supervisor.user);
	assert_string_equal(back->aws.secret_key, "s3cr\\et");
	assert_int_equal(back->queues[0].malformed, CONF_MALFORMED_DEAD_LETTER);
	assert_string_equal(back->deployers[0].lock.key, "{{ project }}\t\\n\n");
	assert_int_equal(back->deployers[0].lock.policy, LOCK_LATEST);
	assert_int_equal(back->deployers[0].command.count, 2);
	assert_string_equal(back->deployers[0].command.at[0], "");
	assert_string_equal(pairs_find(&back->deployers[0].tags, "a.dotted\tkey"), "v");
	assert_int_equal(back->error_count, 2);
	assert_string_equal(pairs_find(&back->environment, "AWS_SECRET_ACCESS_KEY"), "hunter2");
	assert_ptr_equal(conf_find_queue(back, "de-ploys_1"), &back->queues[0]);
	assert_null(conf_find_queue(back, "mystical"));
	assert_ptr_equal(conf_find_deployer(back, "mystical"), &back->deployers[0]);
	assert_null(conf_find_deployer(back, NULL));
	free(text);
	free(again);
	conf_destroy(conf);
	conf_destroy(back);
}

static void test_type_decides_which_rows_there_are(void **state)
{
	struct conf *conf = with_defaults(conf_schema, xnew(struct conf)), *back;
	struct conf_deployer *deployer = element("deployers", conf, "shell");
	struct conf_stage *stage;
	struct error err = { 0 };
	char *text;

	(void)state;
	set("deployers.type", "process", deployer);
	set("deployers.limits.log", "1MiB", &deployer->process.limits);
	stage = conf_element_add(conf_row_at("deployers.stages"), deployer, "production");
	texts_add(&stage->refs, "refs/tags/*");
	pairs_set(&stage->environment, "A", "{{ stage }}");
	text = canonical(conf, false);
	assert_null(strstr(text, "deployers.shell.cluster"));
	assert_non_null(strstr(text, "deployers.shell.umask\t022\n"));
	back = conf_canonical_read(text, strlen(text), &err);
	assert_non_null(back);
	deployer = &back->deployers[0];
	assert_int_equal(deployer->type, CONF_DEPLOYER_PROCESS);
	assert_int_equal(deployer->process.limits.log_bytes, 1 << 20);
	assert_int_equal(deployer->process.stage_count, 1);
	assert_string_equal(deployer->process.stages[0].name, "production");
	assert_string_equal(deployer->process.stages[0].refs.at[0], "refs/tags/*");
	assert_string_equal(pairs_find(&deployer->process.stages[0].environment, "A"), "{{ stage }}");
	free(text);
	conf_destroy(conf);
	conf_destroy(back);
}

static void test_option_is_there_or_not(void **state)
{
	struct conf *conf = sample(), *back;
	char *without = canonical(conf, false), *with, *masked;
	struct error err = { 0 };

	(void)state;
	back = conf_canonical_read(without, strlen(without), &err);
	assert_non_null(back);
	assert_null(back->api);
	conf_destroy(back);
	with_api(conf);
	with = canonical(conf, false);
	back = conf_canonical_read(with, strlen(with), &err);
	assert_non_null(back);
	assert_int_equal(back->api->listen.count, 2);
	assert_string_equal(back->api->listen.at[1], "unix:/run/api.sock");
	assert_int_equal(back->api->token_count, 1);
	assert_string_equal(back->api->tokens[0].token, "hunter2\\hunter2 ");
	assert_string_equal(back->api->tokens[0].projects.at[0], "*");
	assert_int_equal(back->api->body_limit_bytes, 65536);
	masked = canonical(conf, true);
	assert_non_null(strstr(masked, "api.tokens.0.token\t********\n"));
	conf_destroy(back);
	conf_destroy(conf);
	free(without);
	free(with);
	free(masked);
}

static void test_reads_from_a_descriptor(void **state)
{
	struct conf *conf = sample(), *back;
	char *text = canonical(conf, false);
	struct error err = { 0 };
	int fd = descriptor_sealed_memory("test", text, strlen(text), &err);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		back = conf_canonical_read_fd(fd, &err);
		assert_non_null(back);
		conf_destroy(back);
	}
	close(fd);
	assert_null(conf_canonical_read_fd(-1, &err));
	free(text);
	conf_destroy(conf);
}

static void test_masked_form_holds_no_secret(void **state)
{
	struct conf *conf = sample();
	char *text = canonical(conf, true);
	struct error err = { 0 };

	(void)state;
	assert_null(strstr(text, "hunter2"));
	assert_null(strstr(text, "s3cr"));
	assert_null(strstr(text, "p@ss"));
	assert_non_null(strstr(text, "aws.secret_key\t********\n"));
	assert_non_null(strstr(text, "errors.0.url\tredis://user:********@h:1/0\n"));
	assert_non_null(strstr(text, "deployers.mystical.environment.TOKEN\t********\n"));
	assert_non_null(strstr(text, "store\tsqlite:///var/lib/gantry/gantry.db\n"));
	assert_null(conf_canonical_read(text, strlen(text), &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	free(text);
	conf_destroy(conf);
}

static void test_cut_text_is_refused(void **state)
{
	struct conf *conf = sample();
	char *text = canonical(conf, false);
	size_t size = strlen(text);

	(void)state;
	for (size_t len = 0; len < size; len++) {
		struct error err = { 0 };

		assert_null(conf_canonical_read(text, len, &err));
		assert_int_equal(err.kind, ERROR_INVALID);
	}
	free(text);
	conf_destroy(conf);
}

static void test_damaged_text_is_refused(void **state)
{
	struct conf *conf = sample();
	char *text = canonical(conf, false);
	size_t size = strlen(text);

	(void)state;
	for (size_t at = 0; at < size; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct error err = { 0 };

			text[at] ^= (char)(1u << bit);
			if (conf_canonical_read(text, size, &err) != NULL)
				fail_msg("bit %u of byte %zu", bit, at);
			text[at] ^= (char)(1u << bit);
		}
	}
	free(text);
	conf_destroy(conf);
}

/* A text that is whole, as its last line says, around lines of our own. */
static char *whole(const char *lines)
{
	char *text = xasprintf("gantry-configuration 1\n%send 0 0\n", lines);
	uint64_t hash = conf_canonical_hash(text, strlen(text));
	size_t count = 0;

	for (const char *at = lines; *at != '\0'; at++)
		count += *at == '\n';
	free(text);
	return xasprintf("gantry-configuration 1\n%send %zu %016llx\n", lines, count, (unsigned long long)hash);
}

static void test_whole_text_with_wrong_lines_is_refused(void **state)
{
	static const struct {
		const char *given;
		bool want;
	} cases[] = {
		{ "", true },
		{ "supervisor.workers\t3\n", true },
		{ "errors.0.keep\t3\nerrors.0.list\tx\nerrors.1.keep\t4\n", true },
		{ "supervisor.workers\t0\n", false },
		{ "supervisor.workers\t3x\n", false },
		{ "supervisor.workers\t4294967299\n", false },
		{ "supervisor.workers 3\n", false },
		{ "supervisor.workers.x\t3\n", false },
		{ "supervisor\t3\n", false },
		{ "supervisor.\t3\n", false },
		{ ".\t3\n", false },
		{ "\t\n", false },
		{ "\n", false },
		{ "nothing\t3\n", false },
		{ "api\t3\n", false },
		{ "queues\t3\n", false },
		{ "queues.q\t3\n", false },
		{ "queues..url\thttp://h/q\n", false },
		{ "queues.q.type\tnothing\n", false },
		{ "queues.q.wait_time\t21s\n", false },
		{ "errors.1.keep\t3\n", false },
		{ "errors.-1.keep\t3\n", false },
		{ "errors.x.keep\t3\n", false },
		{ "errors.0.keep\t3\nerrors.2.keep\t3\n", false },
		{ "errors.0.keep\t3\nerrors.1.keep\t3\nerrors.0.keep\t4\n", false },
		{ "deployers.d.command.1\tx\n", false },
		{ "deployers.d.command\tx\n", false },
		{ "deployers.d.environment\tx\n", false },
		{ "log.to\t/a\\\n", false },
		{ "log.to\t/a\\x\n", false },
		{ "log.to\trelative\n", false },
		{ "environment.A\tb\n", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = whole(cases[i].given);
		struct error err = { 0 };
		struct conf *conf = conf_canonical_read(text, strlen(text), &err);

		if ((conf != NULL) != cases[i].want)
			fail_msg("\"%s\": got %d", cases[i].given, conf != NULL);
		conf_destroy(conf);
		free(text);
	}
}

static void test_hash_tells_configurations_apart(void **state)
{
	char *one = whole("supervisor.workers\t3\n"), *other = whole("supervisor.workers\t4\n");

	(void)state;
	assert_true(conf_canonical_hash(one, strlen(one)) == conf_canonical_hash(one, strlen(one)));
	assert_true(conf_canonical_hash(one, strlen(one)) != conf_canonical_hash(other, strlen(other)));
	free(one);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_it_writes),
		cmocka_unit_test(test_type_decides_which_rows_there_are),
		cmocka_unit_test(test_option_is_there_or_not),
		cmocka_unit_test(test_reads_from_a_descriptor),
		cmocka_unit_test(test_masked_form_holds_no_secret),
		cmocka_unit_test(test_cut_text_is_refused),
		cmocka_unit_test(test_damaged_text_is_refused),
		cmocka_unit_test(test_whole_text_with_wrong_lines_is_refused),
		cmocka_unit_test(test_hash_tells_configurations_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
