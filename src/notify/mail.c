/* SPDX-License-Identifier: Apache-2.0 */
/* mail.c - see mail.h.
 *
 * Both parts are quoted-printable, which never has "=_" in it: that is how the boundary begins. */
#include "notify/mail.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/mem.h"

enum { LIMIT_MAIL_BYTES = 2 << 20, QP_LINE = 76, WORD_BYTES = 39 };      /* 52 of base64, 64 with what is around */

static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	}
	return true;
}

/* Bytes of text that go into one encoded word, without tearing a character. */
static size_t word_bytes(const char *text)
{
	size_t len = strnlen(text, WORD_BYTES + 1);

	if (len <= WORD_BYTES)
		return len;
	for (len = WORD_BYTES; len > WORD_BYTES - 4 && ((unsigned char)text[len] & 0xc0) == 0x80; len--)
		;
	return len;
}

/* Words of base64 on lines of their own, so that no byte of the text is one of the header. */
static void add_encoded(struct buf *out, const char *text)
{
	unsigned char base64[2 * WORD_BYTES];

	for (bool first = true; *text != '\0'; first = false) {
		size_t len = word_bytes(text);

		EVP_EncodeBlock(base64, (const unsigned char *)text, (int)len);
		buf_printf(out, "%s=?UTF-8?B?%s?=", first ? "" : "\r\n ", (const char *)base64);
		text += len;
	}
}

/* A subject that is long would need folding: it is encoded, which folds. */
static void add_subject(struct buf *out, const char *subject)
{
	buf_add_text(out, "Subject: ");
	if (is_plain(subject) && strlen(subject) < 70 && strstr(subject, "=?") == NULL)
		buf_add_text(out, subject);
	else
		add_encoded(out, subject);
	buf_add_text(out, "\r\n");
}

static void add_date(struct buf *out, int64_t at_ms)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};
	time_t at = (time_t)(at_ms / 1000);
	struct tm tm;

	gmtime_r(&at, &tm);
	buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* An address was checked; should one be odd all the same, what could end the header is left out. */
static void add_address(struct buf *out, const char *address)
{
	buf_add_char(out, '<');
	for (; *address != '\0'; address++) {
		if ((unsigned char)*address > ' ' && *address != '<' && *address != '>' && *address != 0x7f)
			buf_add_char(out, *address);
	}
	buf_add_char(out, '>');
}

static void add_headers(struct buf *out, const struct mail *mail)
{
	const char *host = strrchr(mail->from, '@');

	add_date(out, mail->at_ms);
	buf_add_text(out, "From: ");
	add_address(out, mail->from);
	buf_add_text(out, "\r\nTo: ");
	for (size_t i = 0; i < mail->to_count; i++) {
		buf_add_text(out, i > 0 ? ",\r\n " : "");
		add_address(out, mail->to[i]);
	}
	buf_add_text(out, "\r\n");
	add_subject(out, mail->subject);
	buf_printf(out, "Message-ID: <%s%s>\r\nX-Gantry-Delivery: %s\r\n", mail->id, host != NULL ? host : "@gantry", mail->id);
	buf_add_text(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	buf_printf(out, "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n\r\n", mail->id);
}

/* -- bodies ------------------------------------------------------------------------------------- */

static bool is_literal(unsigned char c)
{
	return (c > ' ' && c < 0x7f && c != '=');
}

/* A "." or "From " at the start of a line is some server's business: both are encoded. */
static void add_quoted(struct buf *out, const char *text)
{
	size_t column = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool blank = (c == ' ' || c == '\t') && text[1] != '\n' && text[1] != '\r' && text[1] != '\0';
		bool literal = (is_literal(c) || blank) && !(column == 0 && (c == '.' || c == 'F'));

		if (c == '\r')
			continue;
		if (c == '\n') {
			buf_add_text(out, "\r\n");
			column = 0;
			continue;
		}
		if (column + (literal ? 1 : 3) > QP_LINE - 1) {
			buf_add_text(out, "=\r\n");
			column = 0;
			literal = literal && c != '.' && c != 'F';
		}
		if (literal)
			buf_add_char(out, (char)c);
		else
			buf_printf(out, "=%02X", c);
		column += literal ? 1 : 3;
	}
	buf_add_text(out, "\r\n");
}

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&': buf_add_text(out, "&amp;"); break;
		case '<': buf_add_text(out, "&lt;"); break;
		case '>': buf_add_text(out, "&gt;"); break;
		case '"': buf_add_text(out, "&quot;"); break;
		default: buf_add_char(out, *text);
		}
	}
}

static bool is_link(const char *url)
{
	return url != NULL && (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0);
}

static void add_html(struct buf *out, const struct mail *mail)
{
	struct buf html;

	buf_init(&html, LIMIT_MAIL_BYTES / 2);
	buf_add_text(&html, "<!DOCTYPE html>\n<html><body>\n<h3>");
	add_escaped(&html, mail->subject);
	buf_add_text(&html, "</h3>\n");
	if (is_link(mail->url)) {
		buf_add_text(&html, "<p><a href=\"");
		add_escaped(&html, mail->url);
		buf_add_text(&html, "\">");
		add_escaped(&html, mail->url);
		buf_add_text(&html, "</a></p>\n");
	}
	buf_add_text(&html, "<pre>\n");
	add_escaped(&html, mail->text);
	buf_add_text(&html, "</pre>\n</body></html>\n");
	add_quoted(out, buf_text(&html));
	buf_finish(&html);
}

static void begin_part(struct buf *out, const struct mail *mail, const char *type)
{
	buf_printf(out, "--=_%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
		mail->id, type);
}

char *mail_compose(const struct mail *mail)
{
	struct buf out;

	buf_init(&out, LIMIT_MAIL_BYTES);
	add_headers(&out, mail);
	begin_part(&out, mail, "text/plain");
	add_quoted(&out, mail->text);
	begin_part(&out, mail, "text/html");
	add_html(&out, mail);
	buf_printf(&out, "--=_%s--\r\n", mail->id);
	return buf_take(&out);
}
