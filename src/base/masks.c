/* SPDX-License-Identifier: Apache-2.0 */
/* masks.c - see masks.h.
 *
 * Aho and Corasick's automaton (Efficient String Matching, 1975): a tree of all secrets' beginnings, each node
 * with a link to the longest other beginning that its own ends with.  It is made when a text is looked at
 * first.  Nodes are numbered level by level, so a node's children stand side by side, in the order of their
 * bytes: they are found by bisection, and neither a hash nor 256 places a node are needed. */
#include "base/masks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct piece {
	char *bytes;                    /* secret */
	size_t size;
};

/* A beginning of a secret: what the bytes from the root to here spell. */
struct node {
	uint32_t first;                 /* of its children; they end where those of the node behind it begin */
	uint32_t fail;                  /* the node of the longest beginning that this one ends with */
	uint16_t depth;                 /* bytes of it */
	uint16_t covers;                /* bytes of the longest secret that it ends with; 0: with none */
	unsigned char byte;             /* the last one */
};

struct masks {
	struct piece *pieces;
	size_t count, room;
	size_t bytes, longest;
	bool all;                       /* of the text is hidden; no pieces */
	struct node *nodes;             /* the root, then level by level, then one that only ends; NULL: not made yet */
	size_t node_count;
};

/* -- life ------------------------------------------------------------------------------------- */

struct masks *masks_create(void)
{
	return xnew(struct masks);
}

static void drop_nodes(struct masks *masks)
{
	if (masks->nodes != NULL)
		explicit_bzero(masks->nodes, (masks->node_count + 1) * sizeof(*masks->nodes));
	free(masks->nodes);
	masks->nodes = NULL;
	masks->node_count = 0;
}

static void drop_all(struct masks *masks)
{
	drop_nodes(masks);
	for (size_t i = 0; i < masks->count; i++)
		xfree_secret(masks->pieces[i].bytes);
	free(masks->pieces);
	*masks = (struct masks){ .all = masks->all };
}

void masks_destroy(struct masks *masks)
{
	if (masks == NULL)
		return;
	drop_all(masks);
	free(masks);
}

void masks_hide_all(struct masks *masks)
{
	masks->all = true;
	drop_all(masks);
}

bool masks_hides_all(const struct masks *masks)
{
	return masks != NULL && masks->all;
}

static void add_piece(struct masks *masks, const char *bytes, size_t size)
{
	if (masks->all)
		return;
	if (masks->bytes + size > LIMIT_MASKS_BYTES) {
		masks_hide_all(masks);
		return;
	}
	drop_nodes(masks);
	if (masks->count == masks->room) {
		masks->room = masks->room > 0 ? 2 * masks->room : 16;
		masks->pieces = xreallocarray(masks->pieces, masks->room, sizeof(*masks->pieces));
	}
	masks->pieces[masks->count++] = (struct piece){ .bytes = xstrndup(bytes, size), .size = size };
	masks->bytes += size;
	if (size > masks->longest)
		masks->longest = size;
}

/* The last piece of a long one overlaps the one before, so that it is no short one. */
static void add_line(struct masks *masks, const char *bytes, size_t size)
{
	while (size > 0 && bytes[size - 1] == '\r')
		size--;
	if (size < MASK_LEAST_BYTES)
		return;
	for (size_t at = 0; at + LIMIT_MASK_PIECE_BYTES < size; at += LIMIT_MASK_PIECE_BYTES)
		add_piece(masks, bytes + at, LIMIT_MASK_PIECE_BYTES);
	if (size > LIMIT_MASK_PIECE_BYTES)
		add_piece(masks, bytes + size - LIMIT_MASK_PIECE_BYTES, LIMIT_MASK_PIECE_BYTES);
	else
		add_piece(masks, bytes, size);
}

void masks_add(struct masks *masks, const char *secret)
{
	while (secret != NULL && *secret != '\0') {
		size_t size = strcspn(secret, "\n");

		add_line(masks, secret, size);
		secret += size + (secret[size] == '\n');
	}
}

size_t masks_longest(const struct masks *masks)
{
	if (masks == NULL)
		return 0;
	return masks->all ? 1 : masks->longest;
}

/* -- the automaton ------------------------------------------------------------------------------ */

/* The child for a byte; 0, which is nobody's child: there is none. */
static uint32_t child_of(const struct node *nodes, uint32_t node, unsigned char byte)
{
	uint32_t low = nodes[node].first, end = nodes[node + 1].first, high = end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (nodes[middle].byte < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && nodes[low].byte == byte ? low : 0;
}

/* Where the next byte of a text leads.  Each step back along a link was paid for by an earlier byte. */
static uint32_t step(const struct node *nodes, uint32_t node, unsigned char byte)
{
	uint32_t child;

	while ((child = child_of(nodes, node, byte)) == 0 && node != 0)
		node = nodes[node].fail;
	return child;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int order = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);

	return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* The sorted pieces that begin with what a node spells. */
struct range {
	uint32_t from, to;
};

/* Adds the children behind all nodes there are.  Links lead to a level above, whose nodes have theirs. */
static void add_children(struct masks *masks, uint32_t node, struct range *ranges)
{
	struct node *nodes = masks->nodes;
	struct range range = ranges[node];
	size_t depth = nodes[node].depth;

	nodes[node].first = (uint32_t)masks->node_count;
	nodes[node].covers = nodes[nodes[node].fail].covers;
	for (; range.from < range.to && masks->pieces[range.from].size == depth; range.from++)
		nodes[node].covers = (uint16_t)depth;
	while (range.from < range.to) {
		unsigned char byte = (unsigned char)masks->pieces[range.from].bytes[depth];
		uint32_t begin = range.from, child = (uint32_t)masks->node_count++;

		while (range.from < range.to && (unsigned char)masks->pieces[range.from].bytes[depth] == byte)
			range.from++;
		nodes[child].depth = (uint16_t)(depth + 1);
		nodes[child].byte = byte;
		nodes[child].fail = node != 0 ? step(nodes, nodes[node].fail, byte) : 0;
		ranges[child] = (struct range){ begin, range.from };
	}
}

static void make_nodes(struct masks *masks)
{
	size_t most = masks->bytes + 1;
	struct range *ranges;

	if (masks->nodes != NULL || masks->count == 0)
		return;
	qsort(masks->pieces, masks->count, sizeof(*masks->pieces), compare_pieces);
	ranges = xcalloc(most, sizeof(*ranges));
	ranges[0] = (struct range){ 0, (uint32_t)masks->count };
	masks->nodes = xcalloc(most + 1, sizeof(*masks->nodes));
	masks->node_count = 1;
	for (uint32_t node = 0; node < masks->node_count; node++)
		add_children(masks, node, ranges);
	masks->nodes[masks->node_count].first = (uint32_t)masks->node_count;
	free(ranges);
}

/* -- looking ------------------------------------------------------------------------------------ */

static void hide_lines(const char *bytes, size_t size, char *out)
{
	for (size_t i = 0; i < size; i++)
		out[i] = bytes[i] == '\n' ? '\n' : '*';
}

/* Secrets are known at their ends, so what they cover is found from behind. */
static void hide_covered(const struct node *nodes, const char *bytes, size_t size, size_t from, size_t to, char *out)
{
	uint16_t *covers = xcalloc(size + 1, sizeof(*covers));
	size_t begin = size;            /* of what is covered by secrets that end at or behind this byte */
	uint32_t node = 0;

	for (size_t i = 0; i < size; i++) {
		node = step(nodes, node, (unsigned char)bytes[i]);
		covers[i] = nodes[node].covers;
	}
	for (size_t i = size; i-- > from;) {
		if (i + 1 - covers[i] < begin)
			begin = i + 1 - covers[i];
		if (i >= begin && i < to)
			out[i - from] = '*';
	}
	free(covers);
}

void masks_copy(struct masks *masks, const char *bytes, size_t size, size_t from, size_t to, char *out)
{
	if (masks_hides_all(masks)) {
		hide_lines(bytes + from, to - from, out);
		return;
	}
	memcpy(out, bytes + from, to - from);
	if (masks_longest(masks) == 0)
		return;
	make_nodes(masks);
	hide_covered(masks->nodes, bytes, size, from, to, out);
}

size_t masks_open_end(struct masks *masks, const char *bytes, size_t size)
{
	size_t longest = masks_longest(masks);
	const struct node *nodes;
	uint32_t node = 0;

	if (longest == 0 || masks->all)
		return 0;
	make_nodes(masks);
	nodes = masks->nodes;
	for (size_t i = size >= longest ? size - longest + 1 : 0; i < size; i++)
		node = step(nodes, node, (unsigned char)bytes[i]);
	/* A whole secret that none goes on from is no beginning; it may end with one. */
	while (node != 0 && nodes[node].first == nodes[node + 1].first)
		node = nodes[node].fail;
	return nodes[node].depth;
}
