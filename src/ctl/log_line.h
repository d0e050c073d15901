/* SPDX-License-Identifier: Apache-2.0 */
/* log_line.h - a line of gantryd's log as a document, whichever of its formats it is in.  Private to src/ctl. */
#ifndef CTL_LOG_LINE_H
#define CTL_LOG_LINE_H

#include <jansson.h>
#include <stddef.h>

/* "time", "level", "from" and "msg", as log.format json has them; a line that is in neither format is all "msg".
 * The caller's. */
json_t *log_line_record(const char *line, size_t size);

#endif
