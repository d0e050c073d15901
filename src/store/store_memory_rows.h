/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_rows.h - the rows of the memory store: lists that are walked. */
#ifndef STORE_STORE_MEMORY_ROWS_H
#define STORE_STORE_MEMORY_ROWS_H

#include "base/list.h"
#include "store/store_rows.h"

struct memory_job {
	struct list link;
	struct store_row row;
};

struct memory_rows {
	struct store_rows rows;
	struct list link;               /* in the registry of store_memory.c */
	char *name;                     /* NULL: of one store only */
	unsigned users;                 /* stores that are open on it */
	int64_t last_seq, last_fault;
	struct list jobs;               /* struct memory_job, by seq; also the lists below as they came */
	struct list locks, owners, faults;
};

struct memory_rows *memory_rows_create(void);
void memory_rows_destroy(struct memory_rows *memory);

#endif
