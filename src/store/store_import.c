/* SPDX-License-Identifier: Apache-2.0 */
/* store_import.c - see store.h.  A job that comes from another store. */
#include "base/mem.h"
#include "store/store_impl.h"

void store_import(struct store *store, const struct job *job, const struct store_attempt *attempts, size_t count,
	store_answer_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_IMPORT, arg);

	call->done.answer = done;
	call->given = xcalloc(1, sizeof(*call->given));
	call->given[0] = job_copy(job);
	call->given_count = 1;
	call->past = xcalloc(count, sizeof(*call->past));
	call->past_count = count;
	for (size_t i = 0; i < count; i++) {
		call->past[i] = attempts[i];
		call->past[i].handle = xstrdup(attempts[i].handle);
		call->past[i].reason = xstrdup(attempts[i].reason);
	}
	store_submit(store, call);
}
