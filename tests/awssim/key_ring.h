/* SPDX-License-Identifier: Apache-2.0 */
/* key_ring.h - the credentials that are good here: one long-term pair and the sessions that the
 * simulated STS, instance metadata and container endpoint have handed out. */
#ifndef AWSSIM_KEY_RING_H
#define AWSSIM_KEY_RING_H

#include "dice.h"
#include "digest.h"
#include "list.h"
#include "table.h"

#include <stdint.h>

enum { KEY_CACHE = 8 };

/* A signing key made once, for one day, region and service. */
struct key_derived {
	char scope[96];                 /* date/region/service; "": unused */
	unsigned char key[DIGEST_SHA256_BYTES];
};

struct key {
	struct table_node by_id;
	struct list peers;
	char id[64];
	char *secret;
	char *token;                    /* NULL: long-term, no session token */
	int64_t expires_ms;             /* on the simulator's clock; 0: never */
	struct key_derived derived[KEY_CACHE];
	unsigned next_derived;
};

struct key_ring;

struct key_ring *key_ring_create(void);
void key_ring_destroy(struct key_ring *);
/* The key belongs to the ring. */
struct key *key_ring_add(struct key_ring *, const char *id, const char *secret);
struct key *key_ring_add_session(struct key_ring *, struct dice *, int64_t expires_ms);
struct key *key_ring_find(struct key_ring *, const char *id);
/* Every session ends now; long-term keys stay. */
void key_ring_expire_sessions(struct key_ring *, int64_t now_ms);
/* Signing key for `date/region/service`, from the cache or made. */
const unsigned char *key_derive(struct key *, struct digest *, const char *date,
				const char *region, const char *service);

#endif
