/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_reader.h - how far each reader of GET /status/ID has read.
 *
 * Kept in a file of the state directory that every gantry-api maps, so that a reader goes on where it was over
 * a reload, an upgrade, a crash and a restart.  Where there is no such file, a process keeps it for itself.
 * Bounded: who has not called for longest is forgotten, and gets the log from its beginning if it calls again;
 * nothing is lost by that. */
#ifndef API_DEPLOY_READER_H
#define API_DEPLOY_READER_H

#include <stdint.h>

enum { LIMIT_DEPLOY_READERS = 4096 };

struct deploy_readers;

/* Who reads what; all lent. */
struct deploy_reader {
	const char *token, *peer;       /* the token's name, and its address */
	const char *job;
};

struct deploy_place {
	unsigned attempt;               /* 0: nothing was read yet */
	int64_t offset;
};

/* state_dir NULL: kept by this process alone. */
struct deploy_readers *deploy_readers_create(const char *state_dir);
void deploy_readers_destroy(struct deploy_readers *readers);
struct deploy_place deploy_reader_place(struct deploy_readers *readers, const struct deploy_reader *reader);
void deploy_reader_note(struct deploy_readers *readers, const struct deploy_reader *reader, struct deploy_place place);

#endif
