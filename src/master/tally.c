/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - see tally.h. */
#include "master/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/control_line.h"
#include "master/child.h"
#include "master/reload.h"
#include "master/roster.h"

enum { VALUE_BYTES = 21 };      /* the largest number and a blank */

/* What never happened is 0, and not unknown. */
static void make_rows(struct figures *figures)
{
	static const enum reload_verdict verdicts[] = { RELOAD_COMMITTED, RELOAD_REFUSED, RELOAD_ROLLED_BACK };

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++)
		figures_row(figures, FIGURES_RELOADS, reload_verdict_name(verdicts[i]));
	figures_row(figures, FIGURES_RESTARTS, role_name(ROLE_WORKER));
	figures_row(figures, FIGURES_RESTARTS, role_name(ROLE_API));
}

void tally_open(struct tally *tally, int inherited_fd, const struct log *log)
{
	struct error err;

	*tally = (struct tally){ .fd = inherited_fd };
	if (inherited_fd >= 0)
		tally->figures = figures_map(inherited_fd, &err);
	if (tally->figures != NULL)
		return;
	if (inherited_fd >= 0)
		log_warn(log, "counters begin anew: %s", err.text);
	descriptor_close(&tally->fd);
	tally->fd = figures_create(&err);
	if (tally->fd >= 0)
		tally->figures = figures_map(tally->fd, &err);
	if (tally->figures == NULL)
		log_warn(log, "what ended processes have counted will not be in the metrics: %s", err.text);
	make_rows(tally->figures);
}

void tally_close(struct tally *tally)
{
	figures_unmap(tally->figures);
	descriptor_close(&tally->fd);
	tally->figures = NULL;
}

void tally_take(struct tally *tally, const struct figures *page)
{
	if (tally->figures != NULL && page != NULL)
		figures_merge(tally->figures, page);
}

void tally_count(struct tally *tally, enum figures_kind kind, const char *name, unsigned value)
{
	figures_add(figures_row(tally->figures, kind, name), value, 1);
}

/* Without the zeroes at its end. */
static void write_row(const struct figures_row *row, struct buf *out)
{
	char text[FIGURES_VALUES * VALUE_BYTES + 1] = "";
	size_t count = FIGURES_VALUES, used = 0;

	while (count > 0 && row->values[count - 1] == 0)
		count--;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRIu64, i > 0 ? " " : "", row->values[i]);
	control_line_begin(out, "figures");
	control_line_text(out, "kind", figures_kind_name((enum figures_kind)row->kind));
	control_line_text(out, "name", row->name);
	control_line_text(out, "values", text);
	control_line_end(out);
}

void tally_write(const struct tally *tally, const struct roster *roster, struct buf *out)
{
	struct figures *sum = xnew(struct figures);
	const struct generation *generation;
	const struct child *child;

	if (tally->figures != NULL)
		figures_merge(sum, tally->figures);
	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link) {
			if (child->figures != NULL)
				figures_merge(sum, child->figures);
		}
	}
	for (size_t i = 0; i < figures_rows(sum); i++)
		write_row(&sum->row[i], out);
	free(sum);
}
