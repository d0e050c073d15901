/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_impl.h - the parts of the page of GET /metrics, by where they are known from. */
#ifndef API_METRICS_IMPL_H
#define API_METRICS_IMPL_H

#include <jansson.h>

#include "api/api.h"
#include "api/metrics_page.h"

enum {
	/* Processes whose own figures are shown; of those above it only the sums are. */
	LIMIT_METRICS_PROCESSES = 600,
};

/* metrics_figures.c: what all processes have counted; figures as in ipc/status_record.h. */
void metrics_add_figures(struct metrics_page *page, const json_t *figures);
/* metrics_state.c: what the master knows, its answer to status. */
void metrics_add_state(struct metrics_page *page, const struct conf *conf, const json_t *doc);
/* metrics_process.c: what the kernel knows of each process that the answer names. */
void metrics_add_processes(struct metrics_page *page, const json_t *doc);

#endif
