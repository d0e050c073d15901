/* SPDX-License-Identifier: Apache-2.0 */
/* rates.c - account-wide rates: what the exec port asks for, the store gives. */
#include <stdlib.h>

#include "base/mem.h"
#include "worker/worker.h"

/* An ask under way; it outlives the exec that made it. */
struct rate_asked {
	exec_rate_fn *done;
	void *arg;
};

static void on_given(void *arg, const struct store_rate_given *given, const struct error *err)
{
	struct rate_asked *asked = arg;
	struct rate_asked copy = *asked;

	free(asked);
	if (err != NULL)
		copy.done(copy.arg, 0, 0, 0, err);
	else
		copy.done(copy.arg, given->tokens, given->wait_s, given->per_s, NULL);
}

static void take(void *arg, const struct exec_rate_ask *ask, exec_rate_fn *done, void *done_arg)
{
	struct worker *worker = arg;
	struct rate_asked *asked = xnew(struct rate_asked);
	struct store_rate_ask store_ask = {
		.bucket = ask->bucket,
		.initial_per_s = ask->initial_per_s,
		.max_per_s = ask->max_per_s,
		.begin_per_s = ask->begin_per_s,
		.burst = ask->burst,
		.want = ask->want,
		.throttles = ask->throttles,
	};

	/* Nothing is launched or watched before there is a store. */
	if (worker->store == NULL)
		panic("a rate was asked for before the store was open");
	*asked = (struct rate_asked){ .done = done, .arg = done_arg };
	store_take_rate(worker->store, &store_ask, on_given, asked);
}

void rates_init(struct worker *worker)
{
	worker->rates = (struct exec_rates){ .take = take, .arg = worker };
}
