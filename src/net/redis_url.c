/* SPDX-License-Identifier: Apache-2.0 */
/* redis_url.c - see redis_url.h. */
#include "net/redis_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static bool refuse(struct redis_url *url, struct error *err, const char *why)
{
	redis_url_finish(url);
	error_set(err, ERROR_INVALID, "not a Redis URL: %s; expected redis[s]://[user:password@]host[:port][/database] "
		"unix:///path[?db=N] or redis+sentinel://[user:password@]host[:port],.../master[/database]", why);
	return false;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text with its %XX decoded, the caller's to free; NULL: a broken one, or a NUL. */
static char *decode(const char *text, size_t size)
{
	char *plain = xstrndup(text, size), *to = plain;

	for (size_t i = 0; i < size; i++) {
		int high = 0, low;

		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		if (i + 2 >= size || (high = nibble(text[i + 1])) < 0 || (low = nibble(text[i + 2])) < 0 || high + low == 0) {
			xfree_secret(plain);
			return NULL;
		}
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	*to = '\0';
	return plain;
}

/* "user:password" in front of an '@'. */
static const char *parse_user(struct redis_url *url, const char *text, size_t size)
{
	const char *colon = memchr(text, ':', size);

	if (colon == NULL)
		return "a user without a password (write :PASSWORD@ for a password alone)";
	if (colon > text) {
		url->user = decode(text, (size_t)(colon - text));
		if (url->user == NULL)
			return "the user holds a broken %XX";
	}
	url->password = decode(colon + 1, size - (size_t)(colon - text) - 1);
	if (url->password == NULL || url->password[0] == '\0')
		return "the password is empty or holds a broken %XX";
	return NULL;
}

static bool parse_number(const char *text, size_t size, unsigned long most, unsigned *number)
{
	unsigned long value = 0;

	if (size == 0 || size > 9)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*number = (unsigned)value;
	return value <= most;
}

/* "host", "host:port", "[address]:port"; what is wrong with it, or NULL.  Sets the port also then. */
static const char *parse_host(struct redis_address *address, const char *text, size_t size, unsigned usual_port)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	size_t name, after;

	address->is_ipv6 = size > 0 && text[0] == '[';
	if (address->is_ipv6) {
		const char *close = memchr(text, ']', size);

		name = close != NULL ? (size_t)(close - text) - 1 : 0;
		after = name + 2;
		text++;
		size--;
		after--;
		if (name == 0 || strspn(text, "0123456789abcdefABCDEF:.") != name)
			return "the address in [ ] is not one";
	} else {
		name = strspn(text, allowed);
		name = name < size ? name : size;
		after = name;
		if (name == 0)
			return "it names no host";
	}
	address->host = xstrndup(text, name);
	address->port = usual_port;
	if (after == size)
		return NULL;
	if (text[after] != ':' || !parse_number(text + after + 1, size - after - 1, 65535, &address->port) ||
	    address->port == 0)
		return "the host's name or its port is not one";
	return NULL;
}

static const char *parse_network(struct redis_url *url, const char *rest)
{
	size_t authority = strcspn(rest, "/?#");
	struct redis_address address = { 0 };
	const char *why = parse_host(&address, rest, authority, REDIS_PORT);

	url->host = address.host;
	url->port = address.port;
	if (why != NULL)
		return why;
	rest += authority;
	rest += *rest == '/';
	if (*rest != '\0' && !parse_number(rest, strlen(rest), LIMIT_REDIS_DATABASE, &url->database))
		return "the database is not a number";
	url->name = xasprintf("redis%s://%s:%u/%u", url->tls ? "s" : "", url->host, url->port, url->database);
	return NULL;
}

/* "host[:port],host[:port].../master[/database]" */
static const char *parse_sentinels(struct redis_url *url, const char *rest)
{
	const char *why, *comma;
	size_t name;

	do {
		size_t size = strcspn(rest, ",/?#");

		if (url->sentinel_count == LIMIT_REDIS_SENTINELS)
			return "it names too many sentinels";
		why = parse_host(&url->sentinels[url->sentinel_count++], rest, size, REDIS_SENTINEL_PORT);
		if (why != NULL)
			return why;
		comma = rest[size] == ',' ? rest + size : NULL;
		rest += size + (comma != NULL);
	} while (comma != NULL);
	rest += *rest == '/';
	name = strcspn(rest, "/?#");
	if (name == 0)
		return "it names no master behind the sentinels";
	url->master = xstrndup(rest, name);
	rest += name;
	rest += *rest == '/';
	if (*rest != '\0' && !parse_number(rest, strlen(rest), LIMIT_REDIS_DATABASE, &url->database))
		return "the database is not a number";
	url->name = xasprintf("redis+sentinel://%s:%u/%s/%u", url->sentinels[0].host, url->sentinels[0].port, url->master,
		url->database);
	return NULL;
}

static const char *parse_unix(struct redis_url *url, const char *rest)
{
	size_t path = strcspn(rest, "?");

	if (*rest != '/' || path < 2)
		return "the path of the socket must begin with /";
	url->path = xstrndup(rest, path);
	rest += path;
	if (*rest == '?' && (strncmp(rest, "?db=", 4) != 0
	    || !parse_number(rest + 4, strlen(rest + 4), LIMIT_REDIS_DATABASE, &url->database)))
		return "after the path only ?db=N may follow";
	url->name = xasprintf("unix://%s?db=%u", url->path, url->database);
	return NULL;
}

/* The last '@' before the host's end: a password may hold one, badly encoded or not. */
static const char *find_at(const char *rest, bool unix_socket)
{
	size_t size = unix_socket ? strcspn(rest, "/") : strcspn(rest, "/?#");

	while (size > 0)
		if (rest[--size] == '@')
			return rest + size;
	return NULL;
}

/* What follows user and password; what is wrong with it, or NULL. */
typedef const char *parse_rest_fn(struct redis_url *url, const char *rest);

bool redis_url_parse(struct redis_url *url, const char *text, struct error *err)
{
	static const struct { const char *scheme; bool tls; parse_rest_fn *parse; } schemes[] = {
		{ "redis://", false, parse_network }, { "rediss://", true, parse_network }, { "unix://", false, parse_unix },
		{ "redis+sentinel://", false, parse_sentinels },
	};
	const char *rest = NULL, *at, *why = NULL;
	parse_rest_fn *parse = NULL;

	*url = (struct redis_url){ 0 };
	if (strlen(text) > LIMIT_REDIS_URL_BYTES)
		return refuse(url, err, "it is too long");
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strncasecmp(text, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
			rest = text + strlen(schemes[i].scheme);
			url->tls = schemes[i].tls;
			parse = schemes[i].parse;
		}
	}
	if (rest == NULL)
		return refuse(url, err, "it begins with none of redis:// rediss:// unix:// redis+sentinel://");
	for (const char *c = rest; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return refuse(url, err, "it holds blanks or control characters");
	at = find_at(rest, parse == parse_unix);
	if (at != NULL) {
		why = parse_user(url, rest, (size_t)(at - rest));
		rest = at + 1;
	}
	if (why == NULL)
		why = parse(url, rest);
	return why == NULL || refuse(url, err, why);
}

void redis_url_finish(struct redis_url *url)
{
	for (size_t i = 0; i < url->sentinel_count; i++)
		free(url->sentinels[i].host);
	free(url->master);
	free(url->host);
	free(url->path);
	free(url->user);
	xfree_secret(url->password);
	free(url->name);
	*url = (struct redis_url){ 0 };
}
