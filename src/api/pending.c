/* SPDX-License-Identifier: Apache-2.0 */
/* pending.c - see pending.h. */
#include "api/pending.h"

#include <stdlib.h>

#include "base/mem.h"

static void on_gone(struct request *request)
{
	struct pending *pending = request->state;

	pending->request = NULL;
}

struct pending *pending_begin(struct api *api, struct request *request)
{
	struct pending *pending = xnew(struct pending);

	*pending = (struct pending){ .api = api, .request = request };
	request->state = pending;
	request->gone = on_gone;
	return pending;
}

struct request *pending_end(struct pending *pending)
{
	struct request *request = pending->request;

	if (request != NULL) {
		request->gone = NULL;
		request->state = NULL;
	}
	free(pending);
	return request;
}
