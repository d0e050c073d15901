/* SPDX-License-Identifier: Apache-2.0 */
/* aws_error.h - reads AWS's error answers and says what each means for the caller.
 *
 * The code decides, never the status alone: SQS answers 403 to throttled calls.  Where a service hides
 * throttling behind another code, the text gives it away. */
#ifndef AWS_AWS_ERROR_H
#define AWS_AWS_ERROR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "aws/aws.h"
#include "aws/retry.h"
#include "base/error.h"
#include "net/http_client.h"

enum {
	LIMIT_AWS_CODE_BYTES = 96,
	LIMIT_AWS_TEXT_BYTES = 400,
};

struct aws_error {
	char code[LIMIT_AWS_CODE_BYTES];        /* "QueueDoesNotExist"; "HTTP 503" when the answer named none */
	char text[LIMIT_AWS_TEXT_BYTES];        /* one line, without signatures and tokens; may be "" */
	bool named;                             /* the answer carried a code */
	json_t *doc;                            /* the JSON object of the answer; NULL: it was none */
};

/* What a code (or a bare status) means. */
struct aws_meaning {
	enum error_kind kind;
	enum retry_cause retry;
	bool credentials;               /* they are expired or unknown: ask for new ones, once */
};

/* Reads an answer with a status of 300 and above, in JSON or in XML. */
void aws_error_parse(struct aws_error *error, const struct http_reply *reply);
void aws_error_finish(struct aws_error *error);
struct aws_meaning aws_error_meaning(const struct aws_error *error, enum aws_service service, long status);
/* Copies text as one line, cut where a signature or an Authorization header begins. */
void aws_error_clean(const char *text, char clean[LIMIT_AWS_TEXT_BYTES]);

#endif
