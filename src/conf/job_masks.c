/* SPDX-License-Identifier: Apache-2.0 */
/* job_masks.c - see job_masks.h.
 *
 * Secrets are masked where a log is read, not where it is written.  A shim would have to be told them all, and
 * a log that was written before its secret was known as one would show it for ever; here a reload is enough,
 * and CloudWatch's lines pass the same way.  The file that a shim writes is for gantryd's user alone. */
#include "conf/job_masks.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "conf/conf_secrets.h"
#include "job/job_message.h"
#include "job/template.h"

enum { LIMIT_MASKED_VALUE_BYTES = 1 << 20 };

struct names {
	const struct texts *globs;
	struct masks *masks;
};

static bool is_secret(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->globs->count; i++) {
		if (fnmatch(names->globs->at[i], name, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

static void add(const struct names *names, const char *name, const char *value)
{
	if (name != NULL && value != NULL && is_secret(names, name))
		masks_add(names->masks, value);
}

/* As RunTask and the shim got them; recorded while the launch lasts. */
static void add_launched(const struct names *names, const struct job *job)
{
	const char *text = job->attempt.request, *name;
	json_t *request = text != NULL ? json_at_parse(text, strlen(text), NULL) : NULL;
	const json_t *variable;
	json_t *value;
	size_t i;

	json_array_foreach(json_at_array(request, "overrides.containerOverrides[0].environment"), i, variable)
		add(names, json_at_string(variable, "name"), json_at_string(variable, "value"));
	json_object_foreach(json_at_object(request, "environment"), name, value)
		add(names, name, json_string_value(value));
	json_decref(request);
}

static void add_pairs(const struct names *names, const struct pairs *pairs, const struct template_values *values)
{
	for (size_t i = 0; i < pairs->count; i++) {
		struct buf text;

		buf_init(&text, LIMIT_MASKED_VALUE_BYTES);
		if (template_expand(pairs->at[i].value, values, &text, NULL))
			add(names, pairs->at[i].name, buf_text(&text));
		else if (text.overflowed && is_secret(names, pairs->at[i].name))
			masks_hide_all(names->masks);
		buf_finish(&text);
	}
}

/* The same from what the launch was made of. */
static void add_deployers(const struct names *names, const struct conf_deployer *deployer, const struct template_values *values)
{
	const struct texts *passed = &deployer->process.pass_environment;

	add_pairs(names, &deployer->environment, values);
	for (size_t i = 0; i < deployer->process.stage_count; i++)
		add_pairs(names, &deployer->process.stages[i].environment, values);
	/* We have our environment from where the workers have theirs. */
	for (size_t i = 0; i < passed->count; i++)
		add(names, passed->at[i], getenv(passed->at[i]));
}

static void add_messages(const struct names *names, const json_t *payload)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_at_object(payload, "environment"), name, value)
		add(names, name, json_string_value(value));
}

static void add_configured(void *arg, const char *secret)
{
	masks_add(arg, secret);
}

/* Of a job whose deployer is configured no more the names are judged as by default. */
static const struct texts *globs_of(const struct conf_deployer *deployer)
{
	static char *usual[] = { "*PASSWORD*", "*PASSWD*", "*SECRET*", "*TOKEN*", "*KEY*", "*CREDENTIAL*" };
	static const struct texts otherwise = { .at = usual, .count = sizeof(usual) / sizeof(*usual) };

	return deployer != NULL ? &deployer->mask : &otherwise;
}

struct masks *job_masks(const struct conf *conf, const struct job *job, const struct log *log)
{
	const struct conf_deployer *deployer = job->deployer != NULL ? conf_find_deployer(conf, job->deployer) : NULL;
	struct names names = { .globs = globs_of(deployer), .masks = masks_create() };
	json_t *payload = job_message_payload(job);
	const struct template_values values = { .job = job, .payload = payload };

	conf_secrets_each(conf, add_configured, names.masks);
	for (size_t i = 0; i < conf->environment.count; i++)
		add(&names, conf->environment.at[i].name, conf->environment.at[i].value);
	if (deployer != NULL)
		add_deployers(&names, deployer, &values);
	add_launched(&names, job);
	add_messages(&names, payload);
	json_decref(payload);
	if (log != NULL && masks_hides_all(names.masks))
		log_warn(log, "output of job %s: its secrets are more than %d KiB, so all of it is shown as asterisks", job->id,
			LIMIT_MASKS_BYTES >> 10);
	return names.masks;
}
