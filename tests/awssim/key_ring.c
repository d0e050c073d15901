/* SPDX-License-Identifier: Apache-2.0 */
/* key_ring.c - known access keys by id. */
#include "key_ring.h"

#include "xalloc.h"

struct key_ring {
	struct table by_id;
	struct list keys;
};

struct key_ring *key_ring_create(void)
{
	struct key_ring *ring = xcalloc(1, sizeof(*ring));

	list_init(&ring->keys);
	return ring;
}

void key_ring_destroy(struct key_ring *ring)
{
	struct list *node, *next;

	if (ring == NULL)
		return;
	list_each(node, next, &ring->keys) {
		struct key *key = container_of(node, struct key, peers);

		free(key->secret);
		free(key->token);
		free(key);
	}
	table_finish(&ring->by_id);
	free(ring);
}

struct key *key_ring_find(struct key_ring *ring, const char *id)
{
	struct table_node *node = table_find(&ring->by_id, id);

	return node == NULL ? NULL : container_of(node, struct key, by_id);
}

struct key *key_ring_add(struct key_ring *ring, const char *id, const char *secret)
{
	struct key *key = xcalloc(1, sizeof(*key));

	snprintf(key->id, sizeof(key->id), "%s", id);
	key->secret = xstrdup(secret);
	table_insert(&ring->by_id, &key->by_id, key->id);
	list_add_tail(&ring->keys, &key->peers);
	return key;
}

struct key *key_ring_add_session(struct key_ring *ring, struct dice *dice, int64_t expires_ms)
{
	char id[64], secret[64], token[128];
	struct key *key;

	snprintf(id, sizeof(id), "ASIASIM%013llX",
		 (unsigned long long)(dice_roll(dice) & 0xfffffffffffffu));
	snprintf(secret, sizeof(secret), "session%016llx%016llx", (unsigned long long)dice_roll(dice),
		 (unsigned long long)dice_roll(dice));
	snprintf(token, sizeof(token), "SIMTOKEN//////////%016llx%016llx==",
		 (unsigned long long)dice_roll(dice), (unsigned long long)dice_roll(dice));
	key = key_ring_add(ring, id, secret);
	key->token = xstrdup(token);
	key->expires_ms = expires_ms;
	return key;
}

void key_ring_expire_sessions(struct key_ring *ring, int64_t now_ms)
{
	struct list *node, *next;

	list_each(node, next, &ring->keys) {
		struct key *key = container_of(node, struct key, peers);

		if (key->token != NULL && key->expires_ms > now_ms)
			key->expires_ms = now_ms;
	}
}

const unsigned char *key_derive(struct key *key, struct digest *digest, const char *date,
				const char *region, const char *service)
{
	unsigned char step[DIGEST_SHA256_BYTES];
	struct key_derived *derived;
	char scope[sizeof(derived->scope)];
	char start[256];

	snprintf(scope, sizeof(scope), "%s/%s/%s", date, region, service);
	for (unsigned i = 0; i < KEY_CACHE; i++) {
		if (strcmp(key->derived[i].scope, scope) == 0)
			return key->derived[i].key;
	}
	derived = &key->derived[key->next_derived++ % KEY_CACHE];
	snprintf(start, sizeof(start), "AWS4%s", key->secret);
	digest_hmac(digest, start, strlen(start), date, strlen(date), step);
	digest_hmac(digest, step, sizeof(step), region, strlen(region), step);
	digest_hmac(digest, step, sizeof(step), service, strlen(service), step);
	digest_hmac(digest, step, sizeof(step), "aws4_request", 12, derived->key);
	memcpy(derived->scope, scope, sizeof(scope));
	return derived->key;
}
