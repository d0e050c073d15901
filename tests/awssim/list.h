/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - a ring of nodes that live inside the things they link.
 * A node that is on no list points at itself, so removing it twice does no harm. */
#ifndef AWSSIM_LIST_H
#define AWSSIM_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define list_each(node, next, head) \
	for ((node) = (head)->next, (next) = (node)->next; (node) != (head); \
	     (node) = (next), (next) = (node)->next)

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_add_head(struct list *head, struct list *node)
{
	list_add_tail(head->next, node);
}

#endif
