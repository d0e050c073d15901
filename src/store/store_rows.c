/* SPDX-License-Identifier: Apache-2.0 */
/* store_rows.c - see store_rows.h. */
#include "store/store_rows.h"

#include <stdlib.h>

#include "base/mem.h"

struct store_row *store_row_create(struct job *take_job)
{
	struct store_row *row = xnew(struct store_row);

	row->job = take_job;
	return row;
}

void store_row_destroy(struct store_row *row)
{
	if (row == NULL)
		return;
	job_destroy(row->job);
	free(row);
}

struct job *store_row_take_job(struct store_row *row)
{
	struct job *job = row->job;

	row->job = NULL;
	store_row_destroy(row);
	return job;
}

void store_rows_destroy(struct store_row **rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_row_destroy(rows[i]);
	free(rows);
}

bool store_row_is_live(const struct store_row *row)
{
	return !job_state_final(row->job->state) || !row->job->message.settled;
}

bool store_delivery_is_open(const struct store_delivery *delivery)
{
	return delivery->next_try_ms > 0 || delivery->dead;
}
