/* SPDX-License-Identifier: Apache-2.0 */
/* redis_codec.c - see redis_codec.h. */
#include "net/redis_codec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#if HIREDIS_MAJOR >= 1
typedef size_t reply_count_t;
#else
typedef int reply_count_t;
#endif

enum { LIMIT_REDIS_TEXT_BYTES = 300 };

struct redis_codec {
	redisReader *reader;
	redisReplyObjectFunctions usual, limited;
	size_t fed;                     /* since the last whole reply */
};

static const struct { const char *code; enum error_kind kind; } codes[] = {
	{ "NOAUTH", ERROR_REFUSED },     { "WRONGPASS", ERROR_REFUSED },    { "NOPERM", ERROR_REFUSED },
	{ "DENIED", ERROR_REFUSED },     { "LOADING", ERROR_TEMPORARY },    { "BUSY", ERROR_TEMPORARY },
	{ "MASTERDOWN", ERROR_TEMPORARY }, { "TRYAGAIN", ERROR_TEMPORARY }, { "CLUSTERDOWN", ERROR_TEMPORARY },
	{ "READONLY", ERROR_TEMPORARY }, { "OOM", ERROR_TEMPORARY },        { "NOREPLICAS", ERROR_TEMPORARY },
	{ "MISCONF", ERROR_TEMPORARY },
};

/* hiredis allocates an array by the length that was promised, before any of it has come. */
static void *create_array(const redisReadTask *task, reply_count_t count)
{
	struct redis_codec *codec = task->privdata;

	if (count > LIMIT_REDIS_REPLY_ELEMENTS)
		return NULL;
	return codec->usual.createArray(task, count);
}

struct redis_codec *redis_codec_create(void)
{
	struct redis_codec *codec = xnew(struct redis_codec);

	codec->reader = redisReaderCreate();
	if (codec->reader == NULL)
		fatal("out of memory for hiredis");
	codec->usual = *codec->reader->fn;
	codec->limited = codec->usual;
	codec->limited.createArray = create_array;
	codec->reader->fn = &codec->limited;
	codec->reader->privdata = codec;
	return codec;
}

void redis_codec_destroy(struct redis_codec *codec)
{
	if (codec == NULL)
		return;
	redisReaderFree(codec->reader);
	free(codec);
}

bool redis_codec_feed(struct redis_codec *codec, const char *bytes, size_t size, struct error *err)
{
	codec->fed += size;
	if (codec->fed > LIMIT_REDIS_REPLY_BYTES) {
		error_set(err, ERROR_TEMPORARY, "a reply is over its limit of %d bytes", LIMIT_REDIS_REPLY_BYTES);
		return false;
	}
	if (redisReaderFeed(codec->reader, bytes, size) != REDIS_OK) {
		error_set(err, ERROR_TEMPORARY, "hiredis: %s", codec->reader->errstr);
		return false;
	}
	return true;
}

bool redis_codec_next(struct redis_codec *codec, redisReply **reply, struct error *err)
{
	void *object = NULL;

	if (redisReaderGetReply(codec->reader, &object) != REDIS_OK) {
		error_set(err, ERROR_TEMPORARY, "the answer is not Redis's, or over its limits: %s", codec->reader->errstr);
		return false;
	}
	*reply = object;
	if (object != NULL)
		codec->fed = codec->reader->len - codec->reader->pos;
	return true;
}

char *redis_codec_command(int argc, const char *const *argv, const size_t *argl, size_t *size)
{
	char *text = NULL;
	int len = redisFormatCommandArgv(&text, argc, (const char **)argv, argl);

	if (len < 0)
		fatal("out of memory for a Redis command");
	*size = (size_t)len;
	return text;
}

/* Redis 6 puts the place in a script in front of what refused a command in it: "...@user_script: 4: -OOM command not...". */
static const char *skip_place(const char *text)
{
	static const char *const places[] = { "ERR Error running script", "@user_script" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *inner = strncmp(text, places[i], strlen(places[i])) == 0 ? strstr(text, ": -") : NULL;

		if (inner != NULL)
			return inner + 3;
	}
	return text;
}

void redis_codec_error(const redisReply *reply, struct error *err)
{
	static const char crowded[] = "ERR max number of clients";
	char code[LIMIT_ERROR_CODE_BYTES], text[LIMIT_REDIS_TEXT_BYTES];
	const char *said = skip_place(reply->str);
	enum error_kind kind = ERROR_INVALID;

	snprintf(code, sizeof(code), "%.*s", (int)strcspn(said, " "), said);
	snprintf(text, sizeof(text), "%s", reply->str);
	for (char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = ' ';
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(code, codes[i].code) == 0)
			kind = codes[i].kind;
	if (strncmp(reply->str, crowded, strlen(crowded)) == 0)
		kind = ERROR_TEMPORARY;
	error_set(err, kind, "%s", text);
	error_set_code(err, code);
}
