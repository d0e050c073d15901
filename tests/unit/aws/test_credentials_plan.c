/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_plan.h"
#include "base/buf.h"
#include "conformance.h"

enum { CASE_VARIABLES = 6, LIMIT_PLAN_TEXT = 4096 };

/* The plan as one line: base, what is special to it, and the roles in order. */
static char *describe(const struct credentials_plan *plan)
{
	static const char *const names[CREDENTIALS_BASES] = {
		[CREDENTIALS_NONE] = "none", [CREDENTIALS_KEYS] = "keys", [CREDENTIALS_WEB_IDENTITY] = "web",
		[CREDENTIALS_CONTAINER] = "container", [CREDENTIALS_IMDS] = "imds",
	};
	struct buf text;

	buf_init(&text, LIMIT_PLAN_TEXT);
	buf_add_text(&text, names[plan->base]);
	if (plan->base == CREDENTIALS_KEYS)
		buf_printf(&text, " %s/%s%s%s", plan->access_key, plan->secret_key, plan->session_token != NULL ? "/" : "",
			plan->session_token != NULL ? plan->session_token : "");
	if (plan->base == CREDENTIALS_WEB_IDENTITY)
		buf_printf(&text, " %s %s%s%s", plan->token_file, plan->web.role_arn,
			plan->web.session_name != NULL ? " as " : "",
			plan->web.session_name != NULL ? plan->web.session_name : "");
	if (plan->base == CREDENTIALS_IMDS && plan->last_resort)
		buf_add_text(&text, " (last resort)");
	for (size_t i = 0; i < plan->role_count; i++) {
		buf_printf(&text, " > %s", plan->roles[i].role_arn);
		if (plan->roles[i].session_name != NULL)
			buf_printf(&text, " as %s", plan->roles[i].session_name);
		if (plan->roles[i].external_id != NULL)
			buf_printf(&text, " id %s", plan->roles[i].external_id);
		if (plan->roles[i].duration_s > 0)
			buf_printf(&text, " for %us", plan->roles[i].duration_s);
	}
	return buf_take(&text);
}

static void set_variables(const char *const *variables, size_t count)
{
	for (size_t i = 0; i < count && variables[i] != NULL; i++) {
		const char *equals = strchr(variables[i], '=');
		char *name = strndup(variables[i], (size_t)(equals - variables[i]));

		setenv(name, equals + 1, 1);
		free(name);
	}
}

/* The plan's line, or the error's text, both the caller's. */
static char *make(const char *config, const char *credentials, const struct conf_aws *conf)
{
	struct credentials_plan plan;
	struct error err = { 0 };
	struct profile *profile;
	char *text;

	scratch_write(".aws/config", config != NULL ? config : "");
	scratch_write(".aws/credentials", credentials != NULL ? credentials : "");
	profile = profile_load(conf->profile, &err);
	if (profile == NULL)
		fail_msg("%s", err.text);
	if (credentials_plan_make(&plan, conf, profile, &err)) {
		text = describe(&plan);
	} else {
		assert_int_equal(err.kind, ERROR_REFUSED);
		text = strdup(err.text);
	}
	profile_destroy(profile);
	return text;
}

#define ROLE "role_arn = arn:r\n"

static const struct {
	const char *name;
	const char *variables[CASE_VARIABLES];
	const char *config, *credentials;
	struct conf_aws conf;
	const char *want;       /* the whole plan, or a part of an error */
} chain_cases[] = {
	{ .name = "nothing but IMDS", .want = "imds (last resort)" },
	{ .name = "IMDS off", .variables = { "AWS_EC2_METADATA_DISABLED=True" }, .want = "none" },
	{ .name = "IMDS not off", .variables = { "AWS_EC2_METADATA_DISABLED=false" }, .want = "imds (last resort)" },
	{ .name = "gantry.yaml before all", .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es" },
	  .conf = { .access_key = (char *)"c", .secret_key = (char *)"cs", .profile = (char *)"x" },
	  .config = "[profile x]\naws_access_key_id=p\naws_secret_access_key=ps\n", .want = "keys c/cs" },
	{ .name = "gantry.yaml with a token",
	  .conf = { .access_key = (char *)"c", .secret_key = (char *)"cs", .session_token = (char *)"t" },
	  .want = "keys c/cs/t" },
	{ .name = "gantry.yaml with half a pair", .conf = { .access_key = (char *)"c" },
	  .want = "gantry.yaml has aws.access_key but not aws.secret_key" },
	{ .name = "gantry.yaml with empty keys", .conf = { .access_key = (char *)"", .secret_key = (char *)" " },
	  .want = "imds (last resort)" },
	{ .name = "environment", .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es", "AWS_SESSION_TOKEN=t" },
	  .config = "[default]\naws_access_key_id=p\naws_secret_access_key=ps\n", .want = "keys e/es/t" },
	{ .name = "environment half set", .variables = { "AWS_SECRET_ACCESS_KEY=es" },
	  .config = "[default]\naws_access_key_id=p\naws_secret_access_key=ps\n",
	  .want = "AWS_SECRET_ACCESS_KEY is set in the environment but AWS_ACCESS_KEY_ID is not" },
	{ .name = "environment before AWS_PROFILE",
	  .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es", "AWS_PROFILE=x" },
	  .config = "[profile x]\naws_access_key_id=p\naws_secret_access_key=ps\n", .want = "keys e/es" },
	{ .name = "gantry.yaml's profile before the environment",
	  .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es" }, .conf = { .profile = (char *)"x" },
	  .config = "[profile x]\naws_access_key_id=p\naws_secret_access_key=ps\n", .want = "keys p/ps" },
	{ .name = "gantry.yaml's profile without credentials",
	  .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es" }, .conf = { .profile = (char *)"x" },
	  .config = "[profile x]\nregion=r\n", .want = "keys e/es" },
	{ .name = "a profile that isn't there", .variables = { "AWS_PROFILE=gone" },
	  .config = "[default]\naws_access_key_id=p\naws_secret_access_key=ps\n", .want = "AWS profile \"gone\" is neither" },
	{ .name = "credentials file before config", .config = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n",
	  .credentials = "[default]\naws_access_key_id=k\naws_secret_access_key=s\naws_session_token=t\n",
	  .want = "keys k/s/t" },
	{ .name = "no token from the other file",
	  .config = "[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=t\n",
	  .credentials = "[default]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "keys k/s" },
	{ .name = "no secret from the other file", .config = "[default]\naws_secret_access_key=b\n",
	  .credentials = "[default]\naws_access_key_id=k\n", .want = "is missing aws_secret_access_key" },
	{ .name = "role", .config = "[default]\n" ROLE "source_profile=s\nduration_seconds=900\nexternal_id=i\n",
	  .credentials = "[s]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "keys k/s > arn:r id i for 900s" },
	{ .name = "role before web identity of the environment",
	  .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=arn:w", "AWS_ACCESS_KEY_ID=", "X=y" },
	  .config = "[default]\n" ROLE "source_profile=s\n", .credentials = "[s]\naws_access_key_id=k\naws_secret_access_key=s\n",
	  .want = "keys k/s > arn:r" },
	{ .name = "role with MFA", .config = "[default]\n" ROLE "source_profile=s\nmfa_serial=m\n",
	  .credentials = "[s]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "mfa_serial" },
	{ .name = "role for too long", .config = "[default]\n" ROLE "source_profile=s\nduration_seconds=43201\n",
	  .want = "duration_seconds: expected 900 to 43200, found \"43201\"" },
	{ .name = "role for a word", .config = "[default]\n" ROLE "source_profile=s\nduration_seconds=long\n",
	  .want = "found \"long\"" },
	{ .name = "unknown credential_source", .config = "[default]\n" ROLE "credential_source=Cloud\n",
	  .want = "found \"Cloud\"" },
	{ .name = "credential_source Environment", .config = "[profile x]\n" ROLE "credential_source=Environment\n",
	  .variables = { "AWS_ACCESS_KEY_ID=e", "AWS_SECRET_ACCESS_KEY=es" }, .conf = { .profile = (char *)"x" },
	  .want = "keys e/es > arn:r" },
	{ .name = "credential_source Environment, empty", .config = "[default]\n" ROLE "credential_source=Environment\n",
	  .want = "credential_source = Environment, which is not there: AWS_ACCESS_KEY_ID" },
	{ .name = "credential_source EcsContainer", .config = "[default]\n" ROLE "credential_source=EcsContainer\n",
	  .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" }, .want = "container > arn:r" },
	{ .name = "credential_source EcsContainer, none", .config = "[default]\n" ROLE "credential_source=EcsContainer\n",
	  .want = "credential_source = EcsContainer, which is not there" },
	{ .name = "credential_source IMDS, off", .config = "[default]\n" ROLE "credential_source=Ec2InstanceMetadata\n",
	  .variables = { "AWS_EC2_METADATA_DISABLED=true" }, .want = "off by AWS_EC2_METADATA_DISABLED" },
	{ .name = "web identity of the environment",
	  .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=/t", "AWS_ROLE_ARN=arn:w", "AWS_ROLE_SESSION_NAME=n" },
	  .credentials = "[default]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "web /t arn:w as n" },
	{ .name = "web identity without a role", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=/t" },
	  .want = "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not" },
	{ .name = "a role alone is nothing", .variables = { "AWS_ROLE_ARN=arn:w" }, .want = "imds (last resort)" },
	{ .name = "web identity of the profile", .config = "[default]\n" ROLE "web_identity_token_file=/p\n",
	  .credentials = "[default]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "web /p arn:r" },
	{ .name = "SSO", .config = "[default]\nsso_session=s\n", .want = "has sso_session, which is not supported" },
	{ .name = "SSO with keys beside it", .config = "[default]\nsso_session=s\n",
	  .credentials = "[default]\naws_access_key_id=k\naws_secret_access_key=s\n", .want = "keys k/s" },
	{ .name = "another program", .config = "[default]\ncredential_process=/bin/x\n",
	  .want = "has credential_process, which is not supported" },
	{ .name = "container", .variables = { "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/" }, .want = "container" },
	{ .name = "container with IMDS off", .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c",
	  "AWS_EC2_METADATA_DISABLED=true" }, .want = "container" },
};

static void test_first_place_that_is_configured_decides(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chain_cases); i++) {
		char *text;

		clear_environment();
		set_variables(chain_cases[i].variables, CASE_VARIABLES);
		text = make(chain_cases[i].config, chain_cases[i].credentials, &chain_cases[i].conf);
		if (strstr(text, chain_cases[i].want) == NULL)
			fail_msg("%s: found \"%s\", want \"%s\"", chain_cases[i].name, text, chain_cases[i].want);
		free(text);
	}
}

static void test_tells_every_place_it_looked_at(void **state)
{
	static const char *const places[] = {
		"aws.access_key in gantry.yaml", "AWS_ACCESS_KEY_ID", "profile \"default\"", ".aws/config",
		".aws/credentials", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "IMDS",
	};
	const struct conf_aws conf = { 0 };
	struct credentials_plan plan;
	struct profile *profile;

	(void)state;
	clear_environment();
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	profile = profile_load(NULL, NULL);
	assert_true(credentials_plan_make(&plan, &conf, profile, NULL));
	assert_int_equal(plan.base, CREDENTIALS_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (strstr(plan.looked, places[i]) == NULL)
			fail_msg("%s is not in \"%s\"", places[i], plan.looked);
	}
	profile_destroy(profile);
}

static void test_refuses_more_roles_than_anybody_has(void **state)
{
	const struct conf_aws conf = { 0 };
	char config[2048];
	size_t used = (size_t)snprintf(config, sizeof(config), "[default]\n" ROLE "source_profile=p0\n");
	char *text;

	(void)state;
	for (int i = 0; i < 10; i++)
		used += (size_t)snprintf(config + used, sizeof(config) - used, "[profile p%d]\n" ROLE "source_profile=p%d\n",
			i, i + 1);
	snprintf(config + used, sizeof(config) - used, "[profile p10]\naws_access_key_id=k\naws_secret_access_key=s\n");
	clear_environment();
	text = make(config, NULL, &conf);
	assert_non_null(strstr(text, "more than 8 roles in a row"));
	free(text);
}

/* The SDKs' cases */

/* Their words for a mistake, and ours. */
static const struct { const char *theirs, *ours; } mistakes[] = {
	{ "profile must contain `source_profile`", "must contain source_profile" },
	{ "profile contained both source_profile", "contains both source_profile and credential_source" },
	{ "profile missing aws_secret_access_key", "missing aws_secret_access_key" },
	{ "profile missing aws_access_key_id", "missing aws_access_key_id" },
	{ "profile `B` did not contain credential", "profile \"B\" did not contain credential information" },
	/* A profile that only configures sends us on along the chain. */
	{ "profile `A` did not contain credential", "imds (last resort)" },
	{ "could not find source profile B", "could not find source profile \"B\"" },
	{ "No profiles were defined", "AWS profile \"A\" is neither" },
	{ "profile formed an infinite loop", "forms an infinite loop" },
	{ "`role_arn` was missing", "web_identity_token_file but no role_arn" },
	{ "sso", "which is not supported" },
};

static char *config_of(const json_t *profiles)
{
	struct buf text;
	const char *name, *key;
	json_t *keys, *value;

	buf_init(&text, LIMIT_PLAN_TEXT);
	json_object_foreach((json_t *)profiles, name, keys) {
		buf_printf(&text, "[profile %s]\n", name);
		json_object_foreach(keys, key, value)
			buf_printf(&text, "%s = %s\n", key, json_string_value(value));
	}
	return buf_take(&text);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* What describe() should say of their chain; NULL for one that needs SSO. */
static char *want_of(const json_t *chain)
{
	struct buf text;
	json_t *link;
	size_t i;

	buf_init(&text, LIMIT_PLAN_TEXT);
	json_array_foreach((json_t *)chain, i, link) {
		const json_t *keys = json_object_get(link, "AccessKey");
		const json_t *web = json_object_get(link, "WebIdentityToken");
		const json_t *role = json_object_get(link, "AssumeRole");

		if (json_object_get(link, "Sso") != NULL) {
			buf_finish(&text);
			return NULL;
		}
		if (keys != NULL)
			buf_printf(&text, "keys %s/%s", text_of(keys, "access_key_id"), text_of(keys, "secret_access_key"));
		else if (json_object_get(link, "NamedSource") != NULL)
			buf_add_text(&text, "imds");
		if (web != NULL)
			buf_printf(&text, "web %s %s", text_of(web, "web_identity_token_file"), text_of(web, "role_arn"));
		if (role != NULL)
			buf_printf(&text, " > %s", text_of(role, "role_arn"));
		role = role != NULL ? role : web;
		if (text_of(role, "role_session_name") != NULL)
			buf_printf(&text, " as %s", text_of(role, "role_session_name"));
		if (text_of(role, "external_id") != NULL)
			buf_printf(&text, " id %s", text_of(role, "external_id"));
	}
	return buf_take(&text);
}

static const char *our_words(const char *theirs)
{
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (strstr(theirs, mistakes[i].theirs) != NULL)
			return mistakes[i].ours;
	}
	fail_msg("no words for \"%s\"", theirs);
	return NULL;
}

static void test_agrees_with_the_sdks_on_roles(void **state)
{
	json_t *doc = conformance_load("assume-role-tests.json");
	json_t *test;
	size_t i = 0;

	(void)state;
	json_array_foreach(doc, i, test) {
		const char *docs = text_of(test, "docs");
		json_t *input = json_object_get(test, "input");
		json_t *output = json_object_get(test, "output");
		char *config = config_of(json_object_get(input, "profiles"));
		const struct conf_aws conf = { .profile = (char *)text_of(input, "selected_profile") };
		char *want = want_of(json_object_get(output, "ProfileChain"));
		char *text;

		clear_environment();
		text = make(config, NULL, &conf);
		if (text_of(output, "Error") != NULL) {
			if (strstr(text, our_words(text_of(output, "Error"))) == NULL)
				fail_msg("%s: found \"%s\", want \"%s\"", docs, text, text_of(output, "Error"));
		} else if (want == NULL) {
			if (strstr(text, "which is not supported") == NULL)
				fail_msg("%s: found \"%s\"", docs, text);
		} else if (strcmp(text, want) != 0) {
			fail_msg("%s: found \"%s\", want \"%s\"", docs, text, want);
		}
		free(text);
		free(want);
		free(config);
	}
	assert_true(doc == NULL || i > 0);
	print_message("# %zu cases of the SDKs\n", i);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_place_that_is_configured_decides),
		cmocka_unit_test(test_tells_every_place_it_looked_at),
		cmocka_unit_test(test_refuses_more_roles_than_anybody_has),
		cmocka_unit_test(test_agrees_with_the_sdks_on_roles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
