/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_page.c - see metrics_page.h. */
#include "api/metrics_page.h"

#include <stdio.h>
#include <string.h>

void metrics_page_init(struct metrics_page *page, const char *accept)
{
	page->open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
	buf_init(&page->text, LIMIT_METRICS_BYTES);
}

void metrics_page_finish(struct metrics_page *page)
{
	buf_finish(&page->text);
}

bool metrics_page_close(struct metrics_page *page)
{
	if (page->open)
		buf_add_text(&page->text, "# EOF\n");
	return !page->text.overflowed;
}

const char *metrics_page_type(const struct metrics_page *page)
{
	return page->open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		"text/plain; version=0.0.4; charset=utf-8";
}

/* OpenMetrics names a counter's family without _total. */
void metrics_family(struct metrics_page *page, const char *name, const char *type, const char *help)
{
	size_t size = strlen(name);

	if (page->open && strcmp(type, "counter") == 0)
		size -= strlen("_total");
	buf_printf(&page->text, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)size, name, help, (int)size, name, type);
}

static void add_value(struct buf *text, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_add_char(text, '\\');
		if (*value == '\n')
			buf_add_text(text, "\\n");
		else
			buf_add_char(text, *value);
	}
}

void metrics_sample(struct metrics_page *page, const char *name, const struct metric_label labels[LIMIT_METRIC_LABELS],
	double value)
{
	struct buf *text = &page->text;

	buf_add_text(text, name);
	for (size_t i = 0; i < LIMIT_METRIC_LABELS && labels[i].name != NULL; i++) {
		buf_printf(text, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
		add_value(text, labels[i].value != NULL ? labels[i].value : "");
		buf_add_char(text, '"');
	}
	buf_printf(text, "%s %.15g\n", labels[0].name != NULL ? "}" : "", value);
}

void metrics_single(struct metrics_page *page, const char *name, const char *type, const char *help, double value)
{
	static const struct metric_label none[LIMIT_METRIC_LABELS];

	metrics_family(page, name, type, help);
	metrics_sample(page, name, none, value);
}

void metrics_bound(double bound, char *text, size_t size)
{
	snprintf(text, size, "%.15g", bound);
	if (strpbrk(text, ".e") == NULL)
		snprintf(text, size, "%.1f", bound);
}
