/* SPDX-License-Identifier: Apache-2.0 */
/* master_status.h - what the master knows of workers and queues, asked for over its control socket.
 *
 * One question at a time for all who want to know, and none again within a second: a hundred viewers cost
 * the master no more than one. */
#ifndef API_MASTER_STATUS_H
#define API_MASTER_STATUS_H

#include <jansson.h>

#include "base/error.h"

struct api;
struct master_status;

/* question: a line of control_line.h without its end, "status" with or without words; lent for ever. */
struct master_status *master_status_create(struct api *api, const char *question);
/* Who waits is answered with an error. */
void master_status_destroy(struct master_status *status);

/* doc is lent, as in ipc/status_record.h. */
typedef void master_status_fn(void *arg, const json_t *doc, const struct error *err);
/* done runs once, later. */
void master_status_ask(struct master_status *status, master_status_fn *done, void *arg);

#endif
