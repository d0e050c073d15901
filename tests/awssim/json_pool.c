/* SPDX-License-Identifier: Apache-2.0 */
/* json_pool.c - lists of free blocks by size, cut from large pieces that are kept until the end.
 * Sanitizers see through malloc only, so with them there is no pool. */
#include "json_pool.h"

#include "xalloc.h"

#include <jansson.h>

#if defined(__SANITIZE_ADDRESS__)

void json_pool_begin(void)
{
}

void json_pool_free(void *memory)
{
	free(memory);
}

#else

enum {
	STEP_BYTES = 16,
	STEPS = 33,                     /* 0 is for what is larger than the others, which malloc gives */
	PIECE_BYTES = 256 * 1024,
};

/* Before each block; as large as malloc's alignment. */
union head {
	size_t step;
	char room[STEP_BYTES];
};

struct block {
	struct block *next;
};

static struct {
	struct block *free[STEPS];
	char *piece;
	size_t left;
} pool;

static void *block_cut(size_t bytes)
{
	void *block;

	if (pool.left < bytes) {
		pool.piece = xalloc_checked(malloc(PIECE_BYTES));
		pool.left = PIECE_BYTES;
	}
	block = pool.piece;
	pool.piece += bytes;
	pool.left -= bytes;
	return block;
}

static void *pool_take(size_t bytes)
{
	size_t step = (bytes + STEP_BYTES - 1) / STEP_BYTES;
	struct block *block;
	union head *head;

	if (step == 0 || step >= STEPS) {
		head = xalloc_checked(malloc(sizeof(*head) + bytes));
		head->step = 0;
		return head + 1;
	}
	block = pool.free[step];
	if (block != NULL) {
		pool.free[step] = block->next;
		return block;
	}
	head = block_cut(sizeof(*head) + step * STEP_BYTES);
	head->step = step;
	return head + 1;
}

void json_pool_free(void *memory)
{
	union head *head = (union head *)memory - 1;
	struct block *block = memory;

	if (memory == NULL)
		return;
	if (head->step == 0) {
		free(head);
		return;
	}
	block->next = pool.free[head->step];
	pool.free[head->step] = block;
}

void json_pool_begin(void)
{
	json_set_alloc_funcs(pool_take, json_pool_free);
}

#endif
