/* SPDX-License-Identifier: Apache-2.0 */
/* status_record.h - the master's answer to "status" as one JSON document, for gantryctl and the API:
 * {"state", "generation", ..., "last_reload": {}, "generations": [], "workers": [], "queues": [], "rates": []},
 * and "figures": [{"kind", "name", "values": []}] when they were asked for (figures.h). */
#ifndef IPC_STATUS_RECORD_H
#define IPC_STATUS_RECORD_H

#include <jansson.h>

#include "ipc/control_line.h"

/* An empty one; a new reference. */
json_t *status_record_create(void);
/* Adds what a line of the answer says; a line of a kind that it does not know is left out. */
void status_record_add(json_t *doc, const struct control_line *line);
/* What it says of how fast a queue goes, lent: {"name", "received_per_minute", "settled_per_minute"}; NULL: nothing. */
const json_t *status_record_rate(const json_t *doc, const char *queue);

#endif
