/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_secrets.h"

#include <string.h>

#include "../cmocka_all.h"
#include "base/buf.h"
#include "base/mem.h"

static void add(void *arg, const char *secret)
{
	buf_printf(arg, "%s\n", secret);
}

/* As gantry-check would have checked it. */
static struct conf *conf_with_secrets(void)
{
	struct conf *conf = xnew(struct conf);

	conf->store = xstrdup("postgresql://gantry:store%2Fpass@db/gantry");
	conf->aws.access_key = xstrdup("AKIDNOSECRET");
	conf->aws.secret_key = xstrdup("aws-secret-key");
	conf->api = xnew(struct conf_api);
	conf->api->tokens = xcalloc(2, sizeof(*conf->api->tokens));
	conf->api->token_count = 2;
	for (size_t i = 0; i < 2; i++) {
		conf->api->tokens[i].name = xasprintf("name-%zu", i);
		conf->api->tokens[i].token = xasprintf("token-of-%zu", i);
	}
	conf->queues = xnew(struct conf_queue);
	conf->queue_count = 1;
	conf->queues[0].name = xstrdup("builds");
	conf->queues[0].type = CONF_QUEUE_REDIS;
	conf->queues[0].url = xstrdup("redis://:redis-pass@127.0.0.1/0");
	conf->deployers = xnew(struct conf_deployer);
	conf->deployer_count = 1;
	conf->deployers[0].name = xstrdup("shell");
	conf->deployers[0].type = CONF_DEPLOYER_PROCESS;
	pairs_set(&conf->deployers[0].environment, "STAGE", "production");
	return conf;
}

static void all_that_the_schema_calls_secret_is_told(void **state)
{
	static const char *const want[] = {
		"\nstore%2Fpass\n", "\nstore/pass\n", "\naws-secret-key\n", "\ntoken-of-0\n", "\ntoken-of-1\n", "\nredis-pass\n",
	};
	static const char *const unwanted[] = { "AKIDNOSECRET", "name-0", "gantry:", "127.0.0.1", "production", "builds" };
	struct conf *conf = conf_with_secrets();
	struct buf told;

	(void)state;
	buf_init(&told, 4096);
	buf_add_char(&told, '\n');
	conf_secrets_each(conf, add, &told);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		if (strstr(buf_text(&told), want[i]) == NULL)
			fail_msg("missing %s in%s", want[i], buf_text(&told));
	}
	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++) {
		if (strstr(buf_text(&told), unwanted[i]) != NULL)
			fail_msg("%s in%s", unwanted[i], buf_text(&told));
	}
	buf_finish(&told);
	conf_destroy(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_that_the_schema_calls_secret_is_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
