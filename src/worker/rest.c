/* SPDX-License-Identifier: Apache-2.0 */
/* rest.c - see rest.h. */
#include "worker/rest.h"

#include "base/mem.h"

void rest_tick(struct worker *worker)
{
	worker->idle = worker->holdings.count == 0 && worker->jobs_done == worker->done_at_tick;
	worker->done_at_tick = worker->jobs_done;
}

void rest_begin(struct worker *worker)
{
	if (!worker->idle || worker->holdings.count > 0)
		return;
	log_debug(&worker->log, "nothing to do: caches and free memory are given back");
	store_rest(worker->store);
	mem_trim();
}
