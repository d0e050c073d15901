/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.h - durations and sizes as people write them: "500ms 30s 10m 12h 7d", "64KiB 10MB". */
#ifndef BASE_QUANTITY_H
#define BASE_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUANTITY_TEXT_BYTES = 32 };

/* A whole number and one of ms s m h d, nothing around them; "0" needs no unit. */
bool quantity_parse_ms(const char *text, int64_t *ms);
/* A whole number and nothing, B, kB, MB, GB, KiB, MiB or GiB. */
bool quantity_parse_bytes(const char *text, int64_t *bytes);
/* The shortest exact form that the parser reads back: 90000 is "90s", 5400000 "90m". */
void quantity_format_ms(int64_t ms, char text[QUANTITY_TEXT_BYTES]);
void quantity_format_bytes(int64_t bytes, char text[QUANTITY_TEXT_BYTES]);

#endif
