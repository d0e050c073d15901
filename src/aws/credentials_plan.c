/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_plan.c - see credentials_plan.h.
 *
 * Each place is a step that finds, finds nothing, or finds something broken; the order is a table. */
#include "aws/credentials_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum outcome { MISSING, FOUND, BROKEN };

struct planner {
	struct credentials_plan *plan;
	const struct conf_aws *conf;
	const struct profile *profile;
	struct error *err;
};

enum { ROLE_DURATION_MIN_S = 900, ROLE_DURATION_MAX_S = 43200 };

static enum outcome broken(struct planner *planner, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum outcome broken(struct planner *planner, const char *fmt, ...)
{
	char text[LIMIT_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	error_set(planner->err, ERROR_REFUSED, "%s", text);
	return BROKEN;
}

static enum outcome missing(struct planner *planner, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum outcome missing(struct planner *planner, const char *fmt, ...)
{
	char *looked = planner->plan->looked;
	size_t size = strlen(looked);
	va_list args;

	if (size > 0 && size + 2 < LIMIT_CREDENTIALS_LOOKED_BYTES) {
		memcpy(looked + size, ", ", 3);
		size += 2;
	}
	va_start(args, fmt);
	vsnprintf(looked + size, LIMIT_CREDENTIALS_LOOKED_BYTES - size, fmt, args);
	va_end(args);
	return MISSING;
}

static enum outcome found(struct planner *planner, enum credentials_base base, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static enum outcome found(struct planner *planner, enum credentials_base base, const char *fmt, ...)
{
	va_list args;

	planner->plan->base = base;
	va_start(args, fmt);
	vsnprintf(planner->plan->from, sizeof(planner->plan->from), fmt, args);
	va_end(args);
	return FOUND;
}

/* NULL for a text of blanks. */
static const char *text_or_null(const char *text)
{
	return text != NULL && text[strspn(text, " \t")] != '\0' ? text : NULL;
}

static void set_keys(struct planner *planner, const char *access_key, const char *secret_key,
	const char *session_token)
{
	planner->plan->access_key = access_key;
	planner->plan->secret_key = secret_key;
	planner->plan->session_token = session_token;
}

static enum outcome conf_keys(struct planner *planner)
{
	const char *access_key = text_or_null(planner->conf->access_key);
	const char *secret_key = text_or_null(planner->conf->secret_key);

	if (access_key == NULL && secret_key == NULL)
		return missing(planner, "aws.access_key in gantry.yaml");
	if (access_key == NULL || secret_key == NULL)
		return broken(planner, "gantry.yaml has aws.%s but not aws.%s",
			access_key != NULL ? "access_key" : "secret_key",
			access_key != NULL ? "secret_key" : "access_key");
	set_keys(planner, access_key, secret_key, text_or_null(planner->conf->session_token));
	return found(planner, CREDENTIALS_KEYS, "aws.access_key in gantry.yaml");
}

static enum outcome env_keys(struct planner *planner)
{
	const char *access_key = profile_env("AWS_ACCESS_KEY_ID");
	const char *secret_key = profile_env("AWS_SECRET_ACCESS_KEY");

	if (access_key == NULL && secret_key == NULL)
		return missing(planner, "AWS_ACCESS_KEY_ID");
	if (access_key == NULL || secret_key == NULL)
		return broken(planner, "%s is set in the environment but %s is not",
			access_key != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			access_key != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	set_keys(planner, access_key, secret_key, profile_env("AWS_SESSION_TOKEN"));
	return found(planner, CREDENTIALS_KEYS, "AWS_ACCESS_KEY_ID in the environment");
}

/* An identity is of one file: a key here with a token from there would be nobody's. */
static enum outcome keys_in(struct planner *planner, const char *name, enum profile_file_kind kind)
{
	const struct profile *profile = planner->profile;
	const char *access_key = text_or_null(profile_get_in(profile, kind, name, "aws_access_key_id"));
	const char *secret_key = text_or_null(profile_get_in(profile, kind, name, "aws_secret_access_key"));

	if (access_key == NULL && secret_key == NULL)
		return MISSING;
	if (access_key == NULL || secret_key == NULL)
		return broken(planner, "profile \"%s\" in %s is missing %s", name, profile_path(profile, kind),
			access_key != NULL ? "aws_secret_access_key" : "aws_access_key_id");
	set_keys(planner, access_key, secret_key,
		text_or_null(profile_get_in(profile, kind, name, "aws_session_token")));
	return found(planner, CREDENTIALS_KEYS, "profile \"%s\" in %s", name, profile_path(profile, kind));
}

static enum outcome keys_of(struct planner *planner, const char *name)
{
	enum outcome outcome = keys_in(planner, name, PROFILE_FILE_CREDENTIALS);

	return outcome != MISSING ? outcome : keys_in(planner, name, PROFILE_FILE_CONFIG);
}

/* Sources that need a person or another program: saying so beats falling through to another identity. */
static enum outcome unsupported(struct planner *planner, const char *name)
{
	static const char *const keys[] = {
		"sso_session", "sso_account_id", "sso_start_url", "sso_role_name", "credential_process",
		"login_session",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (text_or_null(profile_get_of(planner->profile, name, keys[i])) != NULL)
			return broken(planner, "profile \"%s\" has %s, which is not supported", name, keys[i]);
	}
	return MISSING;
}

/* Reads the role that a profile asks for. */
static enum outcome read_role(struct planner *planner, const char *name, struct credentials_role *role)
{
	const struct profile *profile = planner->profile;
	const char *duration = text_or_null(profile_get_of(profile, name, "duration_seconds"));
	long seconds;
	char *end;

	*role = (struct credentials_role){
		.profile = name,
		.role_arn = text_or_null(profile_get_of(profile, name, "role_arn")),
		.session_name = text_or_null(profile_get_of(profile, name, "role_session_name")),
		.external_id = text_or_null(profile_get_of(profile, name, "external_id")),
	};
	if (text_or_null(profile_get_of(profile, name, "mfa_serial")) != NULL)
		return broken(planner, "profile \"%s\" has mfa_serial, which needs somebody to type a code", name);
	if (duration == NULL)
		return FOUND;
	seconds = strtol(duration, &end, 10);
	if (*end != '\0' || seconds < ROLE_DURATION_MIN_S || seconds > ROLE_DURATION_MAX_S)
		return broken(planner, "profile \"%s\": duration_seconds: expected %d to %d, found \"%.40s\"", name,
			ROLE_DURATION_MIN_S, ROLE_DURATION_MAX_S, duration);
	role->duration_s = (unsigned)seconds;
	return FOUND;
}

static enum outcome web_identity_of(struct planner *planner, const char *name)
{
	const char *token_file = text_or_null(profile_get_of(planner->profile, name, "web_identity_token_file"));

	if (token_file == NULL)
		return MISSING;
	if (text_or_null(profile_get_of(planner->profile, name, "role_arn")) == NULL)
		return broken(planner, "profile \"%s\" has web_identity_token_file but no role_arn", name);
	if (read_role(planner, name, &planner->plan->web) == BROKEN)
		return BROKEN;
	planner->plan->token_file = token_file;
	return found(planner, CREDENTIALS_WEB_IDENTITY, "web identity of profile \"%s\"", name);
}

static enum outcome env_web_identity(struct planner *planner)
{
	const char *token_file = profile_env("AWS_WEB_IDENTITY_TOKEN_FILE");
	struct credentials_role *web = &planner->plan->web;

	if (token_file == NULL)
		return missing(planner, "AWS_WEB_IDENTITY_TOKEN_FILE");
	*web = (struct credentials_role){
		.profile = "", .role_arn = profile_env("AWS_ROLE_ARN"),
		.session_name = profile_env("AWS_ROLE_SESSION_NAME"),
	};
	if (web->role_arn == NULL)
		return broken(planner, "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
	planner->plan->token_file = token_file;
	return found(planner, CREDENTIALS_WEB_IDENTITY, "AWS_WEB_IDENTITY_TOKEN_FILE in the environment");
}

static enum outcome container(struct planner *planner)
{
	if (profile_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") == NULL &&
	    profile_env("AWS_CONTAINER_CREDENTIALS_FULL_URI") == NULL)
		return missing(planner, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI");
	return found(planner, CREDENTIALS_CONTAINER, "the container's credentials endpoint");
}

static enum outcome imds(struct planner *planner)
{
	const char *disabled = profile_env("AWS_EC2_METADATA_DISABLED");

	if (disabled != NULL && strcasecmp(disabled, "true") == 0)
		return missing(planner, "IMDS (off by AWS_EC2_METADATA_DISABLED)");
	planner->plan->last_resort = true;
	return found(planner, CREDENTIALS_IMDS, "IMDS");
}

/* credential_source names a base outright: it must be there. */
static enum outcome named_source(struct planner *planner, const char *name, const char *source)
{
	static const struct { const char *name; enum outcome (*find)(struct planner *); } sources[] = {
		{ "Environment", env_keys },
		{ "EcsContainer", container },
		{ "Ec2InstanceMetadata", imds },
	};
	enum outcome outcome;

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (strcmp(source, sources[i].name) != 0)
			continue;
		planner->plan->looked[0] = '\0';
		outcome = sources[i].find(planner);
		planner->plan->last_resort = false;
		if (outcome == MISSING)
			return broken(planner, "profile \"%s\" has credential_source = %s, which is not there: %s", name,
				source, planner->plan->looked);
		return outcome;
	}
	return broken(planner, "profile \"%s\": credential_source: expected Environment, EcsContainer or "
		"Ec2InstanceMetadata, found \"%.60s\"", name, source);
}

/* The base of a chain of roles, when the profile is one; MISSING: it asks for a role itself. */
static enum outcome chain_base(struct planner *planner, const char *name)
{
	/* The first profile's own keys are for its role only if it names itself as the source. */
	enum outcome outcome = planner->plan->role_count > 0 ? keys_of(planner, name) : MISSING;

	if (outcome == MISSING)
		outcome = web_identity_of(planner, name);
	if (outcome != MISSING || text_or_null(profile_get_of(planner->profile, name, "role_arn")) != NULL)
		return outcome;
	outcome = unsupported(planner, name);
	return outcome == BROKEN ? BROKEN :
		broken(planner, "profile \"%s\" did not contain credential information", name);
}

/* Takes the role of a profile; *next is the profile that has credentials for it, or NULL at the chain's end. */
static enum outcome chain_role(struct planner *planner, const char *name, const char **next)
{
	struct credentials_plan *plan = planner->plan;
	const char *source_profile = text_or_null(profile_get_of(planner->profile, name, "source_profile"));
	const char *source = text_or_null(profile_get_of(planner->profile, name, "credential_source"));
	enum outcome outcome;

	*next = NULL;
	if (plan->role_count == LIMIT_CREDENTIALS_ROLES)
		return broken(planner, "profile \"%s\": more than %d roles in a row", name, LIMIT_CREDENTIALS_ROLES);
	if (read_role(planner, name, &plan->roles[plan->role_count++]) == BROKEN)
		return BROKEN;
	if (source_profile != NULL && source != NULL)
		return broken(planner, "profile \"%s\" contains both source_profile and credential_source", name);
	if (source != NULL)
		return named_source(planner, name, source);
	if (source_profile == NULL)
		return broken(planner, "profile \"%s\" has role_arn, so it must contain source_profile or "
			"credential_source", name);
	if (strcmp(source_profile, name) == 0) {
		outcome = keys_of(planner, name);
		return outcome != MISSING ? outcome : broken(planner, "profile \"%s\" is its own source_profile "
			"but has no aws_access_key_id", name);
	}
	if (!profile_exists(planner->profile, source_profile))
		return broken(planner, "could not find source profile \"%s\" that profile \"%s\" names",
			source_profile, name);
	*next = source_profile;
	return FOUND;
}

static bool visited(const struct credentials_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->role_count; i++) {
		if (strcmp(plan->roles[i].profile, name) == 0)
			return true;
	}
	return false;
}

/* Roles are read from the outermost inwards and assumed the other way round. */
static void reverse_roles(struct credentials_plan *plan)
{
	for (size_t i = 0; i < plan->role_count / 2; i++) {
		struct credentials_role outer = plan->roles[i];

		plan->roles[i] = plan->roles[plan->role_count - 1 - i];
		plan->roles[plan->role_count - 1 - i] = outer;
	}
}

static enum outcome profile_role(struct planner *planner)
{
	const char *name = profile_name(planner->profile);
	enum outcome outcome;

	if (text_or_null(profile_get(planner->profile, "role_arn")) == NULL ||
	    text_or_null(profile_get(planner->profile, "web_identity_token_file")) != NULL)
		return MISSING;
	while (name != NULL) {
		if (visited(planner->plan, name))
			return broken(planner, "profile \"%s\" forms an infinite loop with its source profiles", name);
		outcome = chain_base(planner, name);
		if (outcome == FOUND)
			break;
		if (outcome == BROKEN || chain_role(planner, name, &name) == BROKEN)
			return BROKEN;
	}
	reverse_roles(planner->plan);
	return FOUND;
}

static enum outcome profile_web_identity(struct planner *planner)
{
	return web_identity_of(planner, profile_name(planner->profile));
}

static enum outcome profile_keys(struct planner *planner)
{
	const struct profile *profile = planner->profile;
	const char *name = profile_name(profile);
	enum outcome outcome = keys_of(planner, name);

	if (outcome == MISSING)
		outcome = unsupported(planner, name);
	if (outcome != MISSING)
		return outcome;
	return missing(planner, "profile \"%s\" (%s, %s)", name, profile_path(profile, PROFILE_FILE_CREDENTIALS),
		profile_path(profile, PROFILE_FILE_CONFIG));
}

/* A profile that somebody asked for by name and that isn't there is a typing error, not "nothing configured". */
static enum outcome profile_there(struct planner *planner)
{
	const struct profile *profile = planner->profile;

	if (!profile_is_named(profile) || profile_exists(profile, NULL))
		return MISSING;
	return broken(planner, "AWS profile \"%s\" is neither in %s nor in %s", profile_name(profile),
		profile_path(profile, PROFILE_FILE_CONFIG), profile_path(profile, PROFILE_FILE_CREDENTIALS));
}

typedef enum outcome step_fn(struct planner *planner);

static step_fn *const usual_order[] = {
	conf_keys, env_keys, profile_there, profile_role, env_web_identity, profile_web_identity, profile_keys,
	container, imds, NULL,
};

/* gantry.yaml's aws.profile is meant; the environment may only be inherited. */
static step_fn *const profile_first_order[] = {
	conf_keys, profile_there, profile_role, profile_web_identity, profile_keys, env_keys, env_web_identity,
	container, imds, NULL,
};

bool credentials_plan_make(struct credentials_plan *plan, const struct conf_aws *conf, const struct profile *profile,
	struct error *err)
{
	struct planner planner = { .plan = plan, .conf = conf, .profile = profile, .err = err };
	enum outcome outcome = MISSING;

	*plan = (struct credentials_plan){ .base = CREDENTIALS_NONE };
	for (step_fn *const *step = text_or_null(conf->profile) != NULL ? profile_first_order : usual_order;
	     *step != NULL && outcome == MISSING; step++)
		outcome = (*step)(&planner);
	return outcome != BROKEN;
}
