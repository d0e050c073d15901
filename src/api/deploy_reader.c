/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_reader.c - see deploy_reader.h.
 *
 * The file is an array of slots in sets of eight; a reader's digest says in which set it is.  Two generations
 * may write at once: what is torn belongs to no reader, who then begins anew. */
#include "api/deploy_reader.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/mem.h"

#define READERS_FILE "api-readers"

enum { SET_SLOTS = 8, KEY_BYTES = 16 };

struct slot {
	unsigned char key[KEY_BYTES];   /* all zeroes: free */
	int64_t offset;
	uint32_t attempt;
	uint32_t used_s;                /* wall clock: only tells who called last */
};

enum { FILE_BYTES = LIMIT_DEPLOY_READERS * sizeof(struct slot) };
_Static_assert(sizeof(struct slot) == 32, "the file's layout is that of other generations too");

struct deploy_readers {
	struct slot *slots;
};

/* With all its blocks, so that no write can meet a full disk; -1: it cannot be had. */
static int open_file(const char *state_dir)
{
	char *path = xasprintf("%s/" READERS_FILE, state_dir);
	struct stat about;
	int fd;

	/* Nothing may have needed it before. */
	mkdir(state_dir, 0700);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(path);
	if (fd >= 0 && (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || posix_fallocate(fd, 0, FILE_BYTES) != 0))
		descriptor_close(&fd);
	return fd;
}

struct deploy_readers *deploy_readers_create(const char *state_dir)
{
	struct deploy_readers *readers = xnew(struct deploy_readers);
	int fd = state_dir != NULL ? open_file(state_dir) : -1;

	readers->slots = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE,
		fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	descriptor_close(&fd);
	if (readers->slots == MAP_FAILED)
		fatal("no memory for the readers of logs");
	return readers;
}

void deploy_readers_destroy(struct deploy_readers *readers)
{
	if (readers == NULL)
		return;
	munmap(readers->slots, FILE_BYTES);
	free(readers);
}

/* A name has no newline, nor has an address or an id. */
static void digest(const struct deploy_reader *reader, unsigned char key[KEY_BYTES])
{
	char *text = xasprintf("%s\n%s\n%s", reader->token, reader->peer, reader->job);
	unsigned char whole[EVP_MAX_MD_SIZE];

	if (EVP_Digest(text, strlen(text), whole, NULL, EVP_sha256(), NULL) != 1)
		panic("deploy_reader: OpenSSL has no SHA-256");
	memcpy(key, whole, KEY_BYTES);
	free(text);
}

static struct slot *set_of(struct deploy_readers *readers, const unsigned char key[KEY_BYTES])
{
	uint32_t number;

	memcpy(&number, key, sizeof(number));
	return readers->slots + number % (LIMIT_DEPLOY_READERS / SET_SLOTS) * SET_SLOTS;
}

static struct slot *find(struct slot *set, const unsigned char key[KEY_BYTES])
{
	for (size_t i = 0; i < SET_SLOTS; i++) {
		if (memcmp(set[i].key, key, KEY_BYTES) == 0)
			return &set[i];
	}
	return NULL;
}

static struct slot *least_used(struct slot *set)
{
	struct slot *least = set;

	for (size_t i = 1; i < SET_SLOTS; i++) {
		if (set[i].used_s < least->used_s)
			least = &set[i];
	}
	return least;
}

struct deploy_place deploy_reader_place(struct deploy_readers *readers, const struct deploy_reader *reader)
{
	unsigned char key[KEY_BYTES];
	struct slot *slot;

	digest(reader, key);
	slot = find(set_of(readers, key), key);
	if (slot == NULL)
		return (struct deploy_place){ 0 };
	return (struct deploy_place){ .attempt = slot->attempt, .offset = slot->offset > 0 ? slot->offset : 0 };
}

void deploy_reader_note(struct deploy_readers *readers, const struct deploy_reader *reader, struct deploy_place place)
{
	unsigned char key[KEY_BYTES];
	struct slot *set, *slot;

	digest(reader, key);
	set = set_of(readers, key);
	slot = find(set, key);
	if (slot == NULL) {
		slot = least_used(set);
		memset(slot->key, 0, KEY_BYTES);
	}
	slot->offset = place.offset;
	slot->attempt = place.attempt;
	slot->used_s = (uint32_t)(clock_wall_ms() / 1000);
	memcpy(slot->key, key, KEY_BYTES);
}
