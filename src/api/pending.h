/* SPDX-License-Identifier: Apache-2.0 */
/* pending.h - a request that waits for the store or a queue, while its client may go. */
#ifndef API_PENDING_H
#define API_PENDING_H

#include "api/api.h"
#include "api/request.h"

struct pending {
	struct api *api;
	struct request *request;        /* NULL once its client has gone */
};

/* The arg of a completion, which ends it. */
struct pending *pending_begin(struct api *api, struct request *request);
/* The request, or NULL when there is nobody to answer any more. */
struct request *pending_end(struct pending *pending);

#endif
