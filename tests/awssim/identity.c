/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c - sessions handed out over three doors; all of them end up on the key ring. */
#include "identity.h"

#include "call.h"
#include "key_ring.h"
#include "member.h"
#include "xalloc.h"

#include <time.h>

#define ROLE_NAME "awssim-role"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

enum {
	IMDS_TTL_MAX_S = 21600,
	STS_LIFE_MIN_S = 900,
	STS_LIFE_MAX_S = 43200,
	IMDS_TOKENS = 64,               /* remembered; the oldest is forgotten first */
};

struct imds_token {
	char text[64];
	int64_t expires_ms;
};

struct identity {
	json_int_t life_s;              /* of sessions; 0: as asked for, or the default */
	char *container_token;          /* the Authorization header has to be this; NULL: any */
	char *web_identity_token;       /* the only good one; NULL: any */
	struct key *imds, *container;   /* shown until half of its life is over */
	struct imds_token tokens[IMDS_TOKENS];
	unsigned next_token;
};

struct identity *identity_create(void)
{
	return xcalloc(1, sizeof(struct identity));
}

void identity_clear(struct identity *identity)
{
	free(identity->container_token);
	free(identity->web_identity_token);
	identity->container_token = identity->web_identity_token = NULL;
	identity->life_s = 0;
	identity->imds = identity->container = NULL;
}

void identity_destroy(struct identity *identity)
{
	if (identity == NULL)
		return;
	identity_clear(identity);
	free(identity);
}

static void replace(char **string, const char *value)
{
	if (value == NULL)
		return;
	free(*string);
	*string = *value == '\0' ? NULL : xstrdup(value);
}

bool identity_configure(struct simulator *sim, json_t *wishes, struct aws_error *error)
{
	struct identity *identity = sim->identity;
	const char *container = NULL, *web = NULL;
	bool expire = false;

	if (!member_integer(wishes, "life_s", &identity->life_s, error) ||
	    !member_string(wishes, "container_token", &container, error) ||
	    !member_string(wishes, "web_identity_token", &web, error) ||
	    !member_bool(wishes, "expire", &expire, error))
		return false;
	replace(&identity->container_token, container);
	replace(&identity->web_identity_token, web);
	if (expire) {
		key_ring_expire_sessions(sim->keys, world_now_ms(&sim->world));
		identity->imds = identity->container = NULL;
	}
	return true;
}

static struct key *new_session(struct simulator *sim, json_int_t asked_s)
{
	json_int_t life_s = asked_s > 0 ? asked_s : DEFAULT_SESSION_LIFE_S;

	if (sim->identity->life_s > 0)
		life_s = sim->identity->life_s;
	return key_ring_add_session(sim->keys, &sim->world.dice,
				    world_now_ms(&sim->world) + life_s * 1000);
}

/* The endpoints show one session for a while, as the real ones do. */
static struct key *shown_session(struct simulator *sim, struct key **shown)
{
	int64_t life_ms = (sim->identity->life_s > 0 ? sim->identity->life_s
						     : DEFAULT_SESSION_LIFE_S) * 1000;

	if (*shown == NULL || (*shown)->expires_ms - world_now_ms(&sim->world) < life_ms / 2)
		*shown = new_session(sim, 0);
	return *shown;
}

static json_t *stamp(int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

/* ---- instance metadata, version 2 ---- */

static void replace_out(struct call *call, const char *text)
{
	json_decref(call->out);
	call->out = json_string(text);
}

static void refuse(struct call *call, int status, const char *code)
{
	call->error.status = status;
	aws_error_set(&call->error, code, "%s", code);
}

static void imds_token(struct call *call)
{
	const char *ttl = http_request_header(http_exchange_request(call->exchange),
					      "x-aws-ec2-metadata-token-ttl-seconds");
	long ttl_s = ttl == NULL ? 0 : strtol(ttl, NULL, 10);
	struct identity *identity = call->sim->identity;
	struct imds_token *token = &identity->tokens[identity->next_token % IMDS_TOKENS];

	if (ttl_s < 1 || ttl_s > IMDS_TTL_MAX_S) {
		refuse(call, 400, "BadRequest");
		return;
	}
	identity->next_token++;
	snprintf(token->text, sizeof(token->text), "AQAEA%016llx%016llx==",
		 (unsigned long long)dice_roll(&call->sim->world.dice),
		 (unsigned long long)dice_roll(&call->sim->world.dice));
	token->expires_ms = world_now_ms(&call->sim->world) + ttl_s * 1000;
	replace_out(call, token->text);
}

static bool imds_allowed(struct call *call)
{
	const char *given = http_request_header(http_exchange_request(call->exchange),
						"x-aws-ec2-metadata-token");
	int64_t now_ms = world_now_ms(&call->sim->world);

	for (unsigned i = 0; given != NULL && i < IMDS_TOKENS; i++) {
		const struct imds_token *token = &call->sim->identity->tokens[i];

		if (strcmp(token->text, given) == 0 && token->text[0] != '\0' &&
		    now_ms < token->expires_ms)
			return true;
	}
	refuse(call, 401, "Unauthorized");
	return false;
}

static void imds_role(struct call *call)
{
	if (imds_allowed(call))
		replace_out(call, ROLE_NAME);
}

static void imds_region(struct call *call)
{
	if (imds_allowed(call))
		replace_out(call, WORLD_REGION);
}

static void add_session(json_t *out, const struct key *key, const char *token_name)
{
	json_object_set_new(out, "AccessKeyId", json_string(key->id));
	json_object_set_new(out, "SecretAccessKey", json_string(key->secret));
	json_object_set_new(out, token_name, json_string(key->token));
	json_object_set_new(out, "Expiration", stamp(key->expires_ms));
}

static void imds_credentials(struct call *call)
{
	struct simulator *sim = call->sim;

	if (!imds_allowed(call))
		return;
	json_object_set_new(call->out, "Code", json_string("Success"));
	json_object_set_new(call->out, "LastUpdated", stamp(world_now_ms(&sim->world)));
	json_object_set_new(call->out, "Type", json_string("AWS-HMAC"));
	add_session(call->out, shown_session(sim, &sim->identity->imds), "Token");
}

/* ---- the container endpoint ---- */

static void container_credentials(struct call *call)
{
	const char *given = http_request_header(http_exchange_request(call->exchange),
						"authorization");
	struct simulator *sim = call->sim;
	const char *wanted = sim->identity->container_token;

	if (wanted != NULL && (given == NULL || strcmp(given, wanted) != 0)) {
		refuse(call, 401, "InvalidAuthorizationToken");
		return;
	}
	json_object_set_new(call->out, "RoleArn",
			    json_string("arn:aws:iam::" WORLD_ACCOUNT ":role/" ROLE_NAME));
	add_session(call->out, shown_session(sim, &sim->identity->container), "Token");
}

static const struct {
	const char *method, *path;
	struct action action;
} routes[] = {
	{ "PUT", "/latest/api/token", { "IMDSToken", imds_token, true } },
	{ "GET", ROLE_PATH, { "IMDSRole", imds_role, true } },
	{ "GET", ROLE_PATH ROLE_NAME, { "IMDSCredentials", imds_credentials, true } },
	{ "GET", "/latest/meta-data/placement/region", { "IMDSRegion", imds_region, true } },
	{ "GET", "/creds", { "ContainerCredentials", container_credentials, true } },
};

const struct action *metadata_action(const char *method, const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].path, path) == 0)
			return &routes[i].action;
	}
	return NULL;
}

static const struct action no_actions[] = { { .name = NULL } };

const struct service metadata_service = {
	.name = "metadata",
	.json_type = "application/json",
	.throttle_shape = "TooManyRequests",
	.actions = no_actions,
};

/* ---- STS ---- */

static const char *session_name(struct call *call, const char *role_arn)
{
	const char *name = json_string_value(json_object_get(call->in, "RoleSessionName"));

	if (role_arn == NULL || strncmp(role_arn, "arn:", 4) != 0 || name == NULL ||
	    strlen(name) < 2 || strlen(name) > 64) {
		aws_error_set(&call->error, "ValidationError",
			      "RoleArn and RoleSessionName are required.");
		return NULL;
	}
	return name;
}

static void answer_session(struct call *call)
{
	const char *role_arn = json_string_value(json_object_get(call->in, "RoleArn"));
	const char *name = session_name(call, role_arn);
	json_int_t asked_s = 0;
	json_t *credentials;

	if (name == NULL || !member_integer(call->in, "DurationSeconds", &asked_s, &call->error))
		return;
	if (asked_s != 0 && (asked_s < STS_LIFE_MIN_S || asked_s > STS_LIFE_MAX_S)) {
		aws_error_set(&call->error, "ValidationError",
			      "DurationSeconds has to be between 900 and 43200.");
		return;
	}
	credentials = json_object();
	add_session(credentials, new_session(call->sim, asked_s), "SessionToken");
	json_object_set_new(call->out, "Credentials", credentials);
	json_object_set_new(call->out, "AssumedRoleUser",
			    json_pack("{s:o, s:o}", "Arn", json_sprintf("%s/%s", role_arn, name),
				      "AssumedRoleId", json_sprintf("AROASIM:%s", name)));
}

static void assume_role_with_web_identity(struct call *call)
{
	const char *token = json_string_value(json_object_get(call->in, "WebIdentityToken"));
	const char *wanted = call->sim->identity->web_identity_token;

	if (token == NULL || *token == '\0' || (wanted != NULL && strcmp(wanted, token) != 0)) {
		aws_error_set(&call->error, "InvalidIdentityToken",
			      "The web identity token that was passed could not be validated.");
		return;
	}
	answer_session(call);
}

static void get_caller_identity(struct call *call)
{
	json_object_set_new(call->out, "Account", json_string(WORLD_ACCOUNT));
	json_object_set_new(call->out, "UserId", json_string("AIDASIM"));
	json_object_set_new(call->out, "Arn",
			    json_string("arn:aws:iam::" WORLD_ACCOUNT ":user/awssim"));
}

static const struct action sts_actions[] = {
	{ .name = "AssumeRole", .run = answer_session },
	{ .name = "AssumeRoleWithWebIdentity", .run = assume_role_with_web_identity,
	  .anonymous = true },
	{ .name = "GetCallerIdentity", .run = get_caller_identity },
	{ .name = NULL },
};

const struct service sts_service = {
	.name = "sts",
	.query_version = "2011-06-15",
	.query_namespace = "https://sts.amazonaws.com/doc/2011-06-15/",
	.throttle_shape = "Throttling",
	.actions = sts_actions,
};
