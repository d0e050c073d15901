/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - doubly linked lists whose links live inside the objects.
 *
 * A list head is a link of its own, tied to itself when empty.  A link that is on no list is tied
 * to itself too, so list_remove() may be called twice. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#ifndef container_of
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#endif

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
	return list->next == list;
}

static inline void list_insert_between(struct list *link, struct list *prev, struct list *next)
{
	link->prev = prev;
	link->next = next;
	prev->next = link;
	next->prev = link;
}

static inline void list_append(struct list *list, struct list *link)
{
	list_insert_between(link, list->prev, list);
}

static inline void list_prepend(struct list *list, struct list *link)
{
	list_insert_between(link, list, list->next);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Moves all of from to the end of to, in order; from is empty then. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* The object that holds the first link, or NULL. */
#define list_first(list, type, member) \
	(list_empty(list) ? NULL : container_of((list)->next, type, member))

#define list_each(at, list, member) \
	for (at = container_of((list)->next, __typeof__(*at), member); &at->member != (list); \
	     at = container_of(at->member.next, __typeof__(*at), member))

/* As list_each, and the body may remove (or free) at.  next is another variable of at's type. */
#define list_each_safe(at, next_, list, member) \
	for (at = container_of((list)->next, __typeof__(*at), member), \
	     next_ = container_of(at->member.next, __typeof__(*at), member); &at->member != (list); \
	     at = next_, next_ = container_of(next_->member.next, __typeof__(*at), member))

#endif
