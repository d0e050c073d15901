/* SPDX-License-Identifier: Apache-2.0 */
/* conf_secrets.c - see conf_secrets.h.  Walks the same rows as all others, so no key can be forgotten. */
#include "conf/conf_secrets.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_schema.h"
#include "conf/conf_value.h"

struct teller {
	conf_secret_fn *fn;
	void *arg;
};

static void tell(const struct teller *teller, char *take_secret)
{
	teller->fn(teller->arg, take_secret);
	xfree_secret(take_secret);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
			*to++ = (char)(hex(text[1]) << 4 | hex(text[2]));
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* A password, as it is written and as it is meant. */
static void tell_url(const struct teller *teller, const char *url)
{
	const char *place = strstr(url, "://");
	const char *at, *colon;
	char *meant;

	place = place != NULL ? place + 3 : url;
	/* The last "@", as a password may hold one that nobody encoded. */
	at = strrchr(place, '@');
	colon = at != NULL ? memchr(place, ':', (size_t)(at - place)) : NULL;
	if (colon == NULL)
		return;
	meant = xstrndup(colon + 1, (size_t)(at - colon) - 1);
	decode(meant);
	tell(teller, xstrndup(colon + 1, (size_t)(at - colon) - 1));
	tell(teller, meant);
}

static void walk(const struct teller *teller, const struct conf_row *rows, const void *section);

static void walk_row(const struct teller *teller, const struct conf_row *row, const void *section)
{
	const void *field = conf_field_const(row, section);
	const char *text;

	switch (row->kind) {
	case CONF_SECTION:
		walk(teller, row->rows, field);
		break;
	case CONF_OPTION:
		if (*(void *const *)field != NULL)
			walk(teller, row->rows, *(void *const *)field);
		break;
	case CONF_MAP: case CONF_LIST:
		for (size_t i = 0; i < conf_element_count(row, section); i++)
			walk(teller, row->rows, conf_element(row, section, i));
		break;
	case CONF_TEXT: case CONF_URL: case CONF_TEMPLATE: case CONF_PATH: case CONF_WORD:
		text = *(char *const *)field;
		if (!row->secret || text == NULL)
			break;
		if (row->kind == CONF_URL)
			tell_url(teller, text);
		else
			teller->fn(teller->arg, text);
		break;
	default:
		break;
	}
}

static void walk(const struct teller *teller, const struct conf_row *rows, const void *section)
{
	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		if (conf_row_counts(rows, row, section))
			walk_row(teller, row, section);
	}
}

void conf_secrets_each(const struct conf *conf, conf_secret_fn *fn, void *arg)
{
	const struct teller teller = { .fn = fn, .arg = arg };

	walk(&teller, conf_schema, conf);
}
