/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_page.h - the text of GET /metrics as it grows: Prometheus' format 0.0.4, and OpenMetrics 1.0 when
 * that is asked for (prometheus.io/docs/instrumenting/exposition_formats, openmetrics.io). */
#ifndef API_METRICS_PAGE_H
#define API_METRICS_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { LIMIT_METRICS_BYTES = 8 << 20, LIMIT_METRIC_LABELS = 4 };

struct metrics_page {
	struct buf text;
	bool open;                      /* OpenMetrics */
};

struct metric_label { const char *name, *value; };      /* name NULL: none */

/* accept: the request's header, or NULL. */
void metrics_page_init(struct metrics_page *page, const char *accept);
void metrics_page_finish(struct metrics_page *page);
/* The end; false when it has become too large to be sent. */
bool metrics_page_close(struct metrics_page *page);
const char *metrics_page_type(const struct metrics_page *page);

/* type: "counter" (then name ends in _total), "gauge" or "histogram".  All samples of a family follow it. */
void metrics_family(struct metrics_page *page, const char *name, const char *type, const char *help);
void metrics_sample(struct metrics_page *page, const char *name, const struct metric_label labels[LIMIT_METRIC_LABELS],
	double value);
/* A family without labels. */
void metrics_single(struct metrics_page *page, const char *name, const char *type, const char *help, double value);
/* The text of a bound as both formats want it: "0.5", "1.0". */
void metrics_bound(double bound, char *text, size_t size);

#endif
