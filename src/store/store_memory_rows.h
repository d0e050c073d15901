/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_rows.h - the rows of the memory store: lists that are walked.
 *
 *      store_memory_rows.c     jobs
 *      store_memory_attempts.c their launches
 *      store_memory_turn.c     who is next, locks, owners
 *      store_memory_told.c     crashes, rates, deliveries */
#ifndef STORE_STORE_MEMORY_ROWS_H
#define STORE_STORE_MEMORY_ROWS_H

#include "base/list.h"
#include "store/store_rows.h"

struct memory_job {
	struct list link;
	struct store_row row;
	struct store_attempt *attempts; /* all of them, oldest first */
	size_t attempt_count;
};

struct memory_rows {
	struct store_rows rows;
	struct list link;               /* in the registry of store_memory.c */
	char *name;                     /* NULL: of one store only */
	unsigned users;                 /* stores that are open on it */
	int64_t last_seq, last_delivery;
	struct list jobs;               /* struct memory_job, by seq; also the lists below as they came */
	struct list locks, owners, crashes, buckets, deliveries;
};

struct memory_rows *memory_rows_create(void);
void memory_rows_destroy(struct memory_rows *memory);

/* -- between the files ----------------------------------------------------------------------------- */

struct memory_rows *memory_rows_of(struct store_rows *rows);
/* False when one of them is NULL. */
bool memory_same_text(const char *a, const char *b);
/* Panics when there is none. */
struct memory_job *memory_job_by_seq(struct store_rows *rows, int64_t seq);
struct memory_job *memory_job_by_id(struct memory_rows *memory, const char *id);
/* What the rules get: a copy without body and request, as it would be from a database. */
struct store_row *memory_row_copy(const struct memory_job *at);
void memory_add_found(struct store_row ***found, size_t *count, const struct memory_job *at);
void memory_attempt_ops(struct store_rows_ops *ops);
void memory_job_free(struct memory_job *at);
void memory_turn_ops(struct store_rows_ops *ops);
void memory_turn_finish(struct memory_rows *memory);
void memory_told_ops(struct store_rows_ops *ops);
void memory_told_finish(struct memory_rows *memory);
int64_t memory_held_locks(const struct memory_rows *memory);
/* Those not delivered yet, or given up. */
int64_t memory_count_deliveries(const struct memory_rows *memory, bool dead);
/* False, and all stay, when one of them is open, but for such as were given up before dead_before_ms. */
bool memory_forget_deliveries(struct memory_rows *memory, const char *job_id, int64_t dead_before_ms);

#endif
