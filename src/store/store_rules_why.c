/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_why.c - why a job is where it is: what the rules of store_rules_turn.c would say, read only. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_rules.h"

static bool why_key(struct store_rows *rows, const struct store_row *row, struct store_why *why, struct error *err)
{
	struct store_held held = { 0 };
	struct store_row *holder = NULL;
	bool ok;

	if (!rows->ops->read_lock(rows, row->job->lock_key, &held, err))
		return false;
	if (held.holder == NULL || strcmp(held.holder, row->job->id) == 0) {
		free(held.holder);
		return true;
	}
	why->holder = held.holder;
	why->holder_since_ms = held.since_ms;
	ok = rows->ops->find(rows, held.holder, &holder, err);
	if (ok && holder != NULL)
		why->holder_project = xstrdup(holder->job->project);
	store_row_destroy(holder);
	return ok && (row->wait == WAIT_NONE || rows->ops->count_ahead(rows, row, &why->ahead, err));
}

static bool why_group(struct store_rows *rows, const struct store_row *row, struct store_why *why, struct error *err)
{
	struct store_row *head = NULL;
	bool ok;

	if (row->wait != WAIT_DELAY && row->wait != WAIT_GROUP)
		return true;
	ok = rows->ops->group_head(rows, row->job->queue, row->job->message.group, &head, err);
	if (ok && head != NULL && head->job->seq < row->job->seq) {
		why->group_head = xstrdup(head->job->id);
		ok = rows->ops->count_group_ahead(rows, row, &why->group_ahead, err);
	}
	store_row_destroy(head);
	return ok;
}

bool rules_why(struct store_rows *rows, const char *id, struct store_why **why, struct error *err)
{
	struct store_row *row = NULL;
	const struct job *job;
	bool ok;

	*why = NULL;
	if (!rows->ops->find(rows, id, &row, err))
		return false;
	if (row == NULL)
		return true;
	job = row->job;
	*why = xnew(struct store_why);
	ok = rows->ops->read_whole(rows, row, err);
	if (ok && !job_state_final(job->state) && rules_needs_key(job))
		ok = why_key(rows, row, *why, err);
	if (ok && job->message.group != NULL)
		ok = why_group(rows, row, *why, err);
	(*why)->job = row->job;
	row->job = NULL;
	store_row_destroy(row);
	if (!ok) {
		store_why_free(*why);
		*why = NULL;
	}
	return ok;
}
