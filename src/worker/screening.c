/* SPDX-License-Identifier: Apache-2.0 */
/* screening.c - see screening.h. */
#include "worker/screening.h"

#include <stdlib.h>

#include "base/mem.h"
#include "worker/poison.h"
#include "worker/refusal.h"

struct screened {
	struct screening *screening;
	struct queue_message *message;
	bool poison;
};

struct screening {
	struct list link;               /* intake.screenings, in the order received */
	struct intake *intake;
	screening_pass_fn *pass;
	struct screened *items;
	size_t count, left;             /* left: not answered yet */
};

static void screening_destroy(struct screening *screening)
{
	list_remove(&screening->link);
	screening->intake->ahead -= (unsigned)screening->count;
	screening->intake->admitting--;
	free(screening->items);
	free(screening);
}

void screenings_finish(struct intake *intake)
{
	while (!list_empty(&intake->screenings))
		screening_destroy(list_first(&intake->screenings, struct screening, link));
}

static void pass_on(struct screening *screening)
{
	struct queue_message **messages = xcalloc(screening->count, sizeof(*messages));
	struct intake *intake = screening->intake;
	size_t count = 0;

	for (size_t i = 0; i < screening->count; i++) {
		if (screening->items[i].poison)
			refusal_begin(intake, screening->items[i].message, "poison", POISON_TEXT);
		else
			messages[count++] = screening->items[i].message;
	}
	screening->pass(intake, messages, count);
	screening_destroy(screening);
	free(messages);
}

static void on_screened(void *arg, bool poison)
{
	struct screened *item = arg;
	struct intake *intake = item->screening->intake;
	struct screening *first;

	item->poison = poison;
	item->screening->left--;
	while ((first = list_first(&intake->screenings, struct screening, link)) != NULL && first->left == 0)
		pass_on(first);
	intake_update_room(intake);
	drain_check(intake->worker);
}

void screening_begin(struct intake *intake, struct queue_message *const *messages, size_t count,
	screening_pass_fn *pass)
{
	struct screening *screening = xnew(struct screening);

	*screening = (struct screening){ .intake = intake, .pass = pass, .count = count, .left = count };
	screening->items = xcalloc(count, sizeof(*screening->items));
	list_append(&intake->screenings, &screening->link);
	intake->admitting++;
	intake->ahead += (unsigned)count;
	for (size_t i = 0; i < count; i++) {
		char *key = poison_message_key(intake->conf->name, messages[i]->id);

		screening->items[i] = (struct screened){ .screening = screening, .message = messages[i] };
		poison_ask(intake->worker, key, on_screened, &screening->items[i]);
		free(key);
	}
}
