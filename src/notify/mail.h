/* SPDX-License-Identifier: Apache-2.0 */
/* mail.h - a mail as it is sent: headers, and the same text as plain text and as HTML (RFC 5322, 2045 to 2047).
 *
 * Whatever is put into it, no header but ours can come of it. */
#ifndef NOTIFY_MAIL_H
#define NOTIFY_MAIL_H

#include <stddef.h>
#include <stdint.h>

struct mail {
	const char *id;                 /* for Message-ID, the same in each try */
	const char *from;
	const char *const *to;
	size_t to_count;
	const char *subject;            /* UTF-8 */
	const char *text;               /* UTF-8 */
	const char *url;                /* a link beside the text; NULL or "": none */
	int64_t at_ms;                  /* wall clock */
};

/* The caller's to free; lines end with CRLF and have at most 998 characters. */
char *mail_compose(const struct mail *mail);

#endif
