/* SPDX-License-Identifier: Apache-2.0 */
/* notice_text.h - a notice in words.
 *
 * Templates over the names of gantry.yaml(5): event, and what the notice's data says of the job. */
#ifndef NOTIFY_NOTICE_TEXT_H
#define NOTIFY_NOTICE_TEXT_H

#include <jansson.h>

enum { LIMIT_NOTICE_TEXT_BYTES = 128 << 10, LIMIT_NOTICE_LINE_BYTES = 512 };

/* What a template says of doc, cut to the limit; NULL as template: a text of ours.  The caller's to free. */
char *notice_text(const json_t *doc, const char *template);
/* The same in one line, without control characters; NULL as template: "shop: failed: exit_code". */
char *notice_text_line(const json_t *doc, const char *template);
/* One of the names; the caller's to free, "" for what is not there or no name. */
char *notice_text_value(const json_t *doc, const char *name);

#endif
