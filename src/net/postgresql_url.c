/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_url.c - see postgresql_url.h; and what libpq is told.
 *
 * libpq takes the URL apart itself, so that all it knows may be in there (sslmode, target_session_attrs, a list of
 * hosts).  What it says of a URL that it does not understand may repeat the password, so we do not. */
#include "net/postgresql_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LIMIT_PARAMETERS = 64 };

struct parameters {
	const char *keywords[LIMIT_PARAMETERS + 1];
	const char *values[LIMIT_PARAMETERS + 1];
	size_t count;
	char *options, *connect_s;
};

static const char *given(const struct postgresql_url *url, const char *keyword)
{
	for (const PQconninfoOption *at = url->given; at->keyword != NULL; at++) {
		if (strcmp(at->keyword, keyword) == 0)
			return at->val;
	}
	return NULL;
}

/* The n-th part of a list with commas, the caller's; NULL when it is empty or not there. */
static char *list_part(const char *list, size_t n)
{
	const char *at = list != NULL ? list : "";
	size_t len;

	for (; n > 0; n--) {
		at += strcspn(at, ",");
		if (*at == '\0')
			return NULL;
		at++;
	}
	len = strcspn(at, ",");
	return len > 0 ? xstrndup(at, len) : NULL;
}

char *postgresql_url_host(const struct postgresql_url *url, size_t n, bool *resolve)
{
	char *host = list_part(given(url, "host"), n);
	unsigned char bytes[sizeof(struct in6_addr)];

	*resolve = host != NULL && host[0] != '/' && host[0] != '@' && inet_pton(AF_INET, host, bytes) != 1 &&
		inet_pton(AF_INET6, host, bytes) != 1;
	return host;
}

/* As libpq has it: one port is that of all hosts. */
char *postgresql_url_port(const struct postgresql_url *url, size_t n)
{
	const char *ports = given(url, "port");
	char *port = list_part(ports, ports != NULL && strchr(ports, ',') != NULL ? n : 0);

	return port != NULL ? port : xstrdup("5432");
}

static size_t count_parts(const char *list)
{
	size_t count = 1;

	for (; list != NULL && *list != '\0'; list++)
		count += *list == ',';
	return count;
}

bool postgresql_url_parse(struct postgresql_url *url, const struct log *log, const char *text, struct error *err)
{
	char *message = NULL;
	const char *host, *name;

	url->log = log;
	url->given = PQconninfoParse(text, &message);
	PQfreemem(message);
	if (url->given == NULL) {
		error_set(err, ERROR_INVALID, "expected postgresql://[USER@]HOST[:PORT]/DATABASE, found a URL that libpq does "
			"not understand");
		return false;
	}
	host = given(url, "host");
	name = given(url, "dbname");
	url->hosts = given(url, "hostaddr") == NULL ? count_parts(host) : 0;
	url->name = xasprintf("postgresql://%s/%s", host != NULL ? host : "", name != NULL ? name : "");
	return true;
}

void postgresql_url_finish(struct postgresql_url *url)
{
	for (PQconninfoOption *at = url->given; at != NULL && at->keyword != NULL; at++) {
		if (at->val != NULL)
			explicit_bzero(at->val, strlen(at->val));
	}
	PQconninfoFree(url->given);
	free(url->name);
	*url = (struct postgresql_url){ 0 };
}

static void add(struct parameters *parameters, const char *keyword, const char *value)
{
	if (value == NULL || parameters->count == LIMIT_PARAMETERS)
		return;
	parameters->keywords[parameters->count] = keyword;
	parameters->values[parameters->count++] = value;
}

/* What we say of ourselves goes first, as libpq takes the last word on a keyword: the URL's. */
static void make_parameters(struct parameters *parameters, const struct postgresql_url *url,
	const struct postgresql_addresses *found)
{
	const char *options = given(url, "options");

	*parameters = (struct parameters){ .connect_s = xasprintf("%d", POSTGRESQL_CONNECT_S) };
	/* Parallel plans and just-in-time compilation cost more than our statements take. */
	parameters->options = xasprintf("-c statement_timeout=%d -c idle_in_transaction_session_timeout=60000 -c jit=off "
		"-c max_parallel_workers_per_gather=0 -c synchronous_commit=on -c client_min_messages=warning%s%s",
		POSTGRESQL_STATEMENT_MS, options != NULL ? " " : "", options != NULL ? options : "");
	add(parameters, "application_name", "gantry");
	add(parameters, "connect_timeout", parameters->connect_s);
	/* Kerberos would ask its servers while the loop stands still. */
	add(parameters, "gssencmode", "disable");
	add(parameters, "keepalives_idle", "15");
	add(parameters, "keepalives_interval", "5");
	add(parameters, "keepalives_count", "3");
	add(parameters, "tcp_user_timeout", "30000");
	for (const PQconninfoOption *at = url->given; at->keyword != NULL; at++) {
		bool replaced = found != NULL && (strcmp(at->keyword, "host") == 0 || strcmp(at->keyword, "port") == 0 ||
			strcmp(at->keyword, "hostaddr") == 0);

		if (!replaced && strcmp(at->keyword, "options") != 0)
			add(parameters, at->keyword, at->val);
	}
	add(parameters, "options", parameters->options);
	add(parameters, "client_encoding", "UTF8");
	if (found != NULL) {
		add(parameters, "host", found->hosts);
		add(parameters, "hostaddr", found->addresses);
		add(parameters, "port", found->ports);
	}
}

/* libpq would write to standard error. */
static void on_notice(void *arg, const char *message)
{
	const struct postgresql_url *url = arg;
	char line[LIMIT_ERROR_TEXT_BYTES];

	postgresql_message(message, line, sizeof(line));
	log_debug(url->log, "%s: %s", url->name, line);
}

static PGconn *connect_as(const struct postgresql_url *url, const struct postgresql_addresses *found, bool wait)
{
	struct parameters parameters;
	PGconn *conn;

	make_parameters(&parameters, url, found);
	conn = wait ? PQconnectdbParams(parameters.keywords, parameters.values, 0) :
		PQconnectStartParams(parameters.keywords, parameters.values, 0);
	PQsetNoticeProcessor(conn, on_notice, (void *)url);
	free(parameters.options);
	free(parameters.connect_s);
	return conn;
}

PGconn *postgresql_connect_start(const struct postgresql_url *url, const struct postgresql_addresses *found)
{
	return connect_as(url, found, false);
}

PGconn *postgresql_connect(const struct postgresql_url *url)
{
	return connect_as(url, NULL, true);
}

void postgresql_message(const char *text, char *line, size_t room)
{
	/* What follows are guesses. */
	snprintf(line, room, "%.*s", (int)strcspn(text != NULL ? text : "", "\n"), text != NULL ? text : "");
}
