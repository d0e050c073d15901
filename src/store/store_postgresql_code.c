/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_code.c - what a code of the server (SQLSTATE) means for what was asked. */
#include <string.h>

#include "store/store_postgresql.h"

/* statement_timeout */
static const char TIMED_OUT[] = "57014";

static bool is_class(const char *code, const char *class)
{
	return strncmp(code, class, 2) == 0;
}

static enum error_kind kind_of(const char *code)
{
	/* Who we are, what we may, what is there: somebody has to look. */
	if (is_class(code, "28") || is_class(code, "3D") || is_class(code, "3F") || is_class(code, "42"))
		return ERROR_REFUSED;
	return ERROR_TEMPORARY;
}

enum store_postgresql_meaning store_postgresql_meaning(const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (code == NULL || is_class(code, "08") || strcmp(code, "25006") == 0)
		return MEANS_LOST;
	if (strcmp(code, "GT002") == 0)
		return MEANS_BEHIND;
	if (strcmp(code, "GT001") == 0 || is_class(code, "40") || strcmp(code, "55P03") == 0 || strcmp(code, TIMED_OUT) == 0)
		return MEANS_MET;
	if (is_class(code, "57"))
		return MEANS_LOST;
	if (is_class(code, "21") || is_class(code, "22") || is_class(code, "23") || is_class(code, "54") || is_class(code, "P0"))
		return MEANS_CONTENT;
	return MEANS_FAILED;
}

void store_postgresql_result_error(const struct store_postgresql *pg, const PGresult *result, struct error *err)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	char line[LIMIT_ERROR_TEXT_BYTES / 2];

	postgresql_message(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), line, sizeof(line));
	error_set(err, kind_of(code != NULL ? code : ""), "store: %.200s: %s", pg->url.name, line);
	error_set_code(err, code != NULL ? code : "");
}
