/* SPDX-License-Identifier: Apache-2.0 */
/* api_client.h - gantry-api, asked by gantryctl.  Private to src/ctl.
 *
 * Where it is: GANTRY_API_URL; else its Unix socket, where the uid decides what one may; else api.url, else its
 * first address.  The token is GANTRY_TOKEN, else the first of the configuration's that may read everything. */
#ifndef CTL_API_CLIENT_H
#define CTL_API_CLIENT_H

#include <ev.h>

#include "base/log.h"
#include "ctl/ctl.h"
#include "net/http_client.h"

struct api_client;

/* NULL with the reason when no api is configured, or none that could be reached by an address. */
struct api_client *api_client_create(const struct conf *conf, struct ev_loop *loop, const struct log *log, struct error *err);
/* Cancels what is under way. */
void api_client_destroy(struct api_client *client);
/* GET of a path, bytes from offset to offset + size - 1 of what is there. */
struct http_call *api_client_get(struct api_client *client, const char *path, int64_t offset, size_t size,
	http_done_fn *done, void *arg);
/* An id as a part of a path, the caller's to free. */
char *api_client_escape(const char *id);

#endif
