/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_reader.h - how far each reader of GET /status/ID has read.
 *
 * Bounded: the reader who has not called for longest is forgotten, and gets the log from its beginning
 * if it calls again; nothing is lost by that, nor by a reload. */
#ifndef API_DEPLOY_READER_H
#define API_DEPLOY_READER_H

#include <stdint.h>

enum { LIMIT_DEPLOY_READERS = 4096 };

struct deploy_readers;

struct deploy_readers *deploy_readers_create(void);
void deploy_readers_destroy(struct deploy_readers *readers);
/* Where that reader is in the log of that attempt; lent until the next call. */
int64_t *deploy_reader_offset(struct deploy_readers *readers, const char *token_name, const char *peer, const char *job_id,
	unsigned attempt);

#endif
