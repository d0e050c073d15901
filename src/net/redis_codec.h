/* SPDX-License-Identifier: Apache-2.0 */
/* redis_codec.h - RESP, by hiredis: commands to bytes, bytes to replies, within limits. */
#ifndef NET_REDIS_CODEC_H
#define NET_REDIS_CODEC_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
	LIMIT_REDIS_REPLY_BYTES = 64 << 20,
	LIMIT_REDIS_REPLY_ELEMENTS = 1 << 20,   /* of one array */
};

struct redis_codec;

struct redis_codec *redis_codec_create(void);
void redis_codec_destroy(struct redis_codec *codec);
/* False with ERROR_TEMPORARY: more than LIMIT_REDIS_REPLY_BYTES without a whole reply. */
bool redis_codec_feed(struct redis_codec *codec, const char *bytes, size_t size, struct error *err);
/* Takes the next whole reply, the caller's to free (freeReplyObject()); *reply is NULL when there is none yet.
 * False with ERROR_TEMPORARY: this is not RESP, or an array is too long; the connection is of no use any more. */
bool redis_codec_next(struct redis_codec *codec, redisReply **reply, struct error *err);
/* One command; argl may be NULL for texts.  The caller frees it with redisFreeCommand(). */
char *redis_codec_command(int argc, const char *const *argv, const size_t *argl, size_t *size);
/* What a server's error means: ERROR_REFUSED (credentials, permissions), ERROR_TEMPORARY (not now, not
 * done), else ERROR_INVALID.  Sets the code to its first word. */
void redis_codec_error(const redisReply *reply, struct error *err);

#endif
