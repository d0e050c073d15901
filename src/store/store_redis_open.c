/* SPDX-License-Identifier: Apache-2.0 */
/* store_redis_open.c - before the loop runs: what kind of server this is, what it may lose, and the store in it.
 *
 * A server that would evict keys is refused: a store that forgets single keys breaks each promise.  What a crash
 * of the server or a failover may lose is said, by the one worker that may migrate, and is the operator's choice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_redis.h"
#include "store_redis_lua.h"

/* The files of redis/, one after another. */
const char *const store_redis_script = store_redis_lua;

enum { OLDEST_MAJOR = 6, OLDEST_MINOR = 2 };

/* -- the clock ----------------------------------------------------------------------------------- */

int64_t store_redis_boot_ms(void)
{
	int64_t boot_ms, steady_ms;

	clock_shifted(&boot_ms, &steady_ms);
	return clock_boot_ms() - boot_ms;
}

/* The server's time was right at some moment between the question and the answer: so we believe what we believed
 * as far as that allows, and clocks that run apart are brought together a little with each answer. */
void store_redis_take_clock(struct store_redis *redis, int64_t server_ms, int64_t asked_ms, int64_t answered_ms)
{
	int64_t least_ms = server_ms - answered_ms, most_ms = server_ms - asked_ms;
	int64_t offset_ms = redis->offset_ms;

	if (!redis->clocked)
		offset_ms = (least_ms + most_ms) / 2;
	else if (offset_ms < least_ms)
		offset_ms = least_ms;
	else if (offset_ms > most_ms)
		offset_ms = most_ms;
	if (redis->clocked && offset_ms == redis->offset_ms)
		return;
	redis->clocked = true;
	redis->offset_ms = offset_ms;
	clock_steady_set(offset_ms);
}

/* -- one question after another ------------------------------------------------------------------ */

struct question {
	struct ev_loop *loop;
	struct redis *redis;
	bool answered;
	struct error *err;
	char *text;                     /* the answer, or its last element; the asker's */
	int64_t number;                 /* the answer or its first element, when that is one */
};

static void take_text(struct question *question, const redisReply *reply)
{
	const redisReply *last = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ?
		reply->element[reply->elements - 1] : reply;
	const redisReply *first = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0] : reply;

	if (last->type == REDIS_REPLY_STRING || last->type == REDIS_REPLY_STATUS)
		question->text = xstrdup(last->str);
	if (first->type == REDIS_REPLY_INTEGER)
		question->number = first->integer;
}

static void on_answer(void *arg, const redisReply *reply, const struct error *err)
{
	struct question *question = arg;

	question->answered = true;
	if (err != NULL)
		*question->err = *err;
	else
		take_text(question, reply);
	ev_break(question->loop, EVBREAK_ALL);
}

/* *text is NULL when there is none. */
static bool ask(struct question *question, int argc, const char *const *argv, char **text, struct error *err)
{
	struct error why = { 0 };

	question->answered = false;
	question->err = &why;
	question->text = NULL;
	redis_command(question->redis, argc, argv, NULL, on_answer, question);
	while (!question->answered)
		ev_run(question->loop, 0);
	*text = question->text;
	if (why.kind == ERROR_NONE)
		return true;
	error_set(err, why.kind == ERROR_AMBIGUOUS ? ERROR_TEMPORARY : why.kind, "store: %s", why.text);
	error_set_code(err, why.code);
	return false;
}

#define ASK(question, text, err, ...) \
	ask((question), (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)), \
		(const char *const[]){ __VA_ARGS__ }, (text), (err))

/* -- what the server may lose -------------------------------------------------------------------- */

/* The value of "name:value" in INFO, into value; "" when it is not there. */
static void info_value(const char *info, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);

	value[0] = '\0';
	for (const char *line = info; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(value, size, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
			return;
		}
	}
}

static bool check_version(const char *info, struct error *err)
{
	char version[32];
	unsigned major = 0, minor = 0;

	info_value(info, "redis_version", version, sizeof(version));
	if (sscanf(version, "%u.%u", &major, &minor) < 1)
		return true;
	if (major > OLDEST_MAJOR || (major == OLDEST_MAJOR && minor >= OLDEST_MINOR))
		return true;
	error_set(err, ERROR_REFUSED, "store: the server is Redis %s; at least %d.%d is needed", version, OLDEST_MAJOR,
		OLDEST_MINOR);
	return false;
}

static bool check_eviction(const char *info, struct error *err)
{
	char policy[64], limit[32];

	info_value(info, "maxmemory_policy", policy, sizeof(policy));
	info_value(info, "maxmemory", limit, sizeof(limit));
	if (policy[0] == '\0' || strcmp(policy, "noeviction") == 0 || strtoull(limit, NULL, 10) == 0)
		return true;
	error_set(err, ERROR_REFUSED, "store: the server may evict keys (maxmemory-policy is %s): jobs and locks would vanish; "
		"set maxmemory-policy to noeviction", policy);
	return false;
}

static void warn_of_eviction(const struct store *store, const char *info)
{
	char policy[64];

	info_value(info, "maxmemory_policy", policy, sizeof(policy));
	if (policy[0] != '\0' && strcmp(policy, "noeviction") != 0)
		log_warn(&store->log, "the server's maxmemory-policy is %s: once it is given a maxmemory it would evict jobs and locks, "
			"and this store would be refused; set it to noeviction", policy);
}

static void warn_of_losses(struct question *question, const struct store *store, const char *info)
{
	char *appendfsync = NULL;
	char aof[8];

	info_value(info, "aof_enabled", aof, sizeof(aof));
	if (strcmp(aof, "0") == 0) {
		log_warn(&store->log, "the server keeps no append-only file (appendonly no): when it ends by a crash, jobs that were "
			"accepted since its last snapshot are lost, and what was launched since may be launched again");
		return;
	}
	if (!ASK(question, &appendfsync, NULL, "CONFIG", "GET", "appendfsync") || appendfsync == NULL)
		log_warn(&store->log, "whether the server's appendfsync is always is not known, as it does not tell; else a crash may lose "
			"what was accepted and launched in the last seconds, and what was launched then may be launched again");
	else if (strcmp(appendfsync, "always") != 0)
		log_warn(&store->log, "the server's appendfsync is %s: a crash of it or its host may lose what was accepted and launched "
			"in the last seconds, and what was launched then may be launched again; set it to always", appendfsync);
	free(appendfsync);
}

/* Neither is there a way to wait for the replicas inside of a transaction: WAIT comes after it. */
static void warn_of_failover(struct question *question, const struct store *store)
{
	char *replicas = NULL;
	bool known = ASK(question, &replicas, NULL, "CONFIG", "GET", "min-replicas-to-write") && replicas != NULL;

	log_warn(&store->log, "the server's replicas hear of a write after it was answered: when Sentinel puts one in its place, "
		"what was accepted in the last moments may be lost, and what was launched then may be launched again; "
		"min-replicas-to-write is %s%s", known ? replicas : "not known",
		known && strcmp(replicas, "0") == 0 ? ", and a master that was cut off takes jobs that are lost all the same: "
		"set it to 1 or more" : "");
	free(replicas);
}

static bool check_server(struct question *question, const struct store_redis *redis, bool tell, struct error *err)
{
	const struct store *store = &redis->store;
	char *info = NULL;
	bool ok;

	if (!ASK(question, &info, err, "INFO"))
		return false;
	if (info == NULL)
		return true;
	ok = check_version(info, err) && check_eviction(info, err);
	if (ok && tell) {
		warn_of_eviction(store, info);
		warn_of_losses(question, store, info);
		if (strncmp(redis->url, "redis+sentinel:", 15) == 0)
			warn_of_failover(question, store);
	}
	free(info);
	return ok;
}

/* -- the store in it ----------------------------------------------------------------------------- */

static bool check_schema(struct question *question, bool migrate, struct error *err)
{
	char schema[16], *found = NULL;
	bool ok;

	snprintf(schema, sizeof(schema), "%d", STORE_REDIS_SCHEMA);
	if (migrate && !ASK(question, &found, err, "SET", STORE_REDIS_TAG ":schema", schema, "NX"))
		return false;
	free(found);
	found = NULL;
	if (!ASK(question, &found, err, "GET", STORE_REDIS_TAG ":schema"))
		return false;
	ok = found != NULL && strcmp(found, schema) == 0;
	if (found == NULL)
		error_set(err, ERROR_TEMPORARY, "store: there is none in this database yet");
	else if (!ok)
		error_set(err, ERROR_REFUSED, "store: its schema is version %s, which a newer gantry made; this one knows version %s",
			found, schema);
	free(found);
	return ok;
}

static bool load_script(struct question *question, struct store_redis *redis, struct error *err)
{
	char *sha = NULL;

	if (!ASK(question, &sha, err, "SCRIPT", "LOAD", store_redis_script))
		return false;
	snprintf(redis->sha, sizeof(redis->sha), "%s", sha != NULL ? sha : "");
	free(sha);
	return true;
}

/* A batch of no calls answers the time. */
static bool read_clock(struct question *question, struct store_redis *redis, struct error *err)
{
	struct store_redis_words words;
	const char **argv;
	int64_t asked_ms;
	char *text = NULL;
	struct list none;
	bool ok;

	list_init(&none);
	store_redis_words_make(&words, redis, 0, &none);
	argv = xcalloc(4 + words.count, sizeof(*argv));
	memcpy(argv, (const char *[]){ "EVALSHA", redis->sha, "1", STORE_REDIS_TAG }, 4 * sizeof(*argv));
	memcpy(argv + 4, words.texts, words.count * sizeof(*argv));
	asked_ms = store_redis_boot_ms();
	ok = ask(question, (int)(4 + words.count), argv, &text, err);
	if (ok)
		store_redis_take_clock(redis, question->number, asked_ms, store_redis_boot_ms());
	free(text);
	free(argv);
	store_redis_words_finish(&words);
	return ok;
}

bool store_redis_prepare(struct store_redis *redis, const struct store_options *options, struct error *err)
{
	bool migrate = options->migrate && !options->read_only;
	struct question question = { .loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV) };
	bool ok = false;

	if (question.loop == NULL)
		fatal("no event loop could be made");
	question.redis = redis_create(question.loop, &redis->store.log, redis->url, err);
	if (question.redis != NULL)
		ok = check_server(&question, redis, migrate, err) && check_schema(&question, migrate, err) &&
			load_script(&question, redis, err) && read_clock(&question, redis, err);
	redis_destroy(question.redis);
	ev_loop_destroy(question.loop);
	return ok;
}
