/* SPDX-License-Identifier: Apache-2.0 */
/* aws_error.c - see aws_error.h.  Codes are listed by what a caller can do; a code that is in no list is
 * judged by its status. */
#include "aws/aws_error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/service.h"
#include "aws/xml_tag.h"
#include "base/json_at.h"

enum meaning {
	MEANS_THROTTLED,
	MEANS_TRANSIENT,
	MEANS_CREDENTIALS,
	MEANS_REFUSED,
	MEANS_INVALID,
	MEANS_LOST,
};

static const struct aws_meaning meanings[] = {
	[MEANS_THROTTLED] = { ERROR_THROTTLED, RETRY_THROTTLED, false },
	[MEANS_TRANSIENT] = { ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	[MEANS_CREDENTIALS] = { ERROR_REFUSED, RETRY_NEVER, true },
	[MEANS_REFUSED] = { ERROR_REFUSED, RETRY_NEVER, false },
	[MEANS_INVALID] = { ERROR_INVALID, RETRY_NEVER, false },
	[MEANS_LOST] = { ERROR_LOST, RETRY_NEVER, false },
};

static const struct { const char *code; enum meaning meaning; } codes[] = {
	{ "Throttling", MEANS_THROTTLED },
	{ "ThrottlingException", MEANS_THROTTLED },
	{ "ThrottledException", MEANS_THROTTLED },
	{ "RequestThrottledException", MEANS_THROTTLED },
	{ "RequestThrottled", MEANS_THROTTLED },
	{ "TooManyRequestsException", MEANS_THROTTLED },
	{ "ProvisionedThroughputExceededException", MEANS_THROTTLED },
	{ "TransactionInProgressException", MEANS_THROTTLED },
	{ "RequestLimitExceeded", MEANS_THROTTLED },
	{ "BandwidthLimitExceeded", MEANS_THROTTLED },
	{ "LimitExceededException", MEANS_THROTTLED },
	{ "SlowDown", MEANS_THROTTLED },
	{ "PriorRequestNotComplete", MEANS_THROTTLED },
	{ "EC2ThrottledException", MEANS_THROTTLED },
	{ "KmsThrottled", MEANS_THROTTLED },
	{ "KMS.ThrottlingException", MEANS_THROTTLED },
	{ "KMSThrottling", MEANS_THROTTLED },
	{ "KMSThrottlingException", MEANS_THROTTLED },
	{ "OverLimit", MEANS_THROTTLED },

	{ "RequestTimeout", MEANS_TRANSIENT },
	{ "RequestTimeoutException", MEANS_TRANSIENT },
	{ "IDPCommunicationError", MEANS_TRANSIENT },
	{ "InternalError", MEANS_TRANSIENT },
	{ "InternalFailure", MEANS_TRANSIENT },
	{ "InternalServerError", MEANS_TRANSIENT },
	{ "ServerException", MEANS_TRANSIENT },
	{ "ServiceUnavailable", MEANS_TRANSIENT },
	{ "ServiceUnavailableException", MEANS_TRANSIENT },

	{ "ExpiredToken", MEANS_CREDENTIALS },
	{ "ExpiredTokenException", MEANS_CREDENTIALS },
	{ "UnrecognizedClientException", MEANS_CREDENTIALS },
	{ "InvalidClientTokenId", MEANS_CREDENTIALS },

	{ "AccessDenied", MEANS_REFUSED },
	{ "AccessDeniedException", MEANS_REFUSED },
	{ "AuthFailure", MEANS_REFUSED },
	{ "AuthorizationError", MEANS_REFUSED },
	{ "Blocked", MEANS_REFUSED },
	{ "BlockedException", MEANS_REFUSED },
	{ "ClusterNotFoundException", MEANS_REFUSED },
	{ "EndpointDisabled", MEANS_REFUSED },
	{ "IncompleteSignature", MEANS_REFUSED },
	{ "IncompleteSignatureException", MEANS_REFUSED },
	{ "InvalidAction", MEANS_REFUSED },
	{ "InvalidAddress", MEANS_REFUSED },
	{ "InvalidIdentityToken", MEANS_REFUSED },
	{ "InvalidSecurity", MEANS_REFUSED },
	{ "InvalidSignatureException", MEANS_REFUSED },
	{ "KmsAccessDenied", MEANS_REFUSED },
	{ "KMS.AccessDeniedException", MEANS_REFUSED },
	{ "KmsDisabled", MEANS_REFUSED },
	{ "KMS.DisabledException", MEANS_REFUSED },
	{ "KmsInvalidState", MEANS_REFUSED },
	{ "KmsInvalidKeyUsage", MEANS_REFUSED },
	{ "KmsNotFound", MEANS_REFUSED },
	{ "KMS.NotFoundException", MEANS_REFUSED },
	{ "KmsOptInRequired", MEANS_REFUSED },
	{ "MissingAuthenticationToken", MEANS_REFUSED },
	{ "MissingAuthenticationTokenException", MEANS_REFUSED },
	{ "NotAuthorized", MEANS_REFUSED },
	{ "NotFound", MEANS_REFUSED },
	{ "OptInRequired", MEANS_REFUSED },
	{ "QueueDoesNotExist", MEANS_REFUSED },
	{ "AWS.SimpleQueueService.NonExistentQueue", MEANS_REFUSED },
	{ "RegionDisabledException", MEANS_REFUSED },
	{ "RequestExpired", MEANS_REFUSED },
	{ "RequestInTheFuture", MEANS_REFUSED },
	{ "RequestTimeTooSkewed", MEANS_REFUSED },
	{ "SignatureDoesNotMatch", MEANS_REFUSED },
	{ "UnknownOperationException", MEANS_REFUSED },

	{ "ReceiptHandleIsInvalid", MEANS_LOST },
	{ "MessageNotInflight", MEANS_LOST },
	{ "AWS.SimpleQueueService.MessageNotInflight", MEANS_LOST },
};

/* Codes of ECS and EC2 that say "invalid" or "client error" and mean "later". */
static const char *const throttled_texts[] = {
	"RequestLimitExceeded", "Rate exceeded", "Throttl", "reached the limit", "task quota",
};

/* Only under these does a text decide: anywhere else it may quote what a user wrote. */
static const char *const vague_codes[] = {
	"ClientException", "InvalidParameterException", "InvalidParameterValue", "LimitExceeded",
	"ServerException",
};

static bool listed(const char *const *list, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}
#define LISTED(list, text) listed(list, sizeof(list) / sizeof((list)[0]), text)

static bool find_meaning(const char *code, enum meaning *meaning)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].code, code) == 0) {
			*meaning = codes[i].meaning;
			return true;
		}
	}
	return false;
}

static bool hides_throttling(const struct aws_error *error)
{
	if (!LISTED(vague_codes, error->code))
		return false;
	for (size_t i = 0; i < sizeof(throttled_texts) / sizeof(throttled_texts[0]); i++)
		if (strstr(error->text, throttled_texts[i]) != NULL)
			return true;
	return false;
}

static enum meaning meaning_of_status(const struct aws_error *error, enum aws_service service, long status)
{
	if (status == 429)
		return MEANS_THROTTLED;
	/* Other 5xx are not known to pass; but ECS asks to repeat all of them, with the same token. */
	if (status == 408 || status == 500 || (status >= 502 && status <= 504) || (status >= 500 && service == AWS_ECS))
		return MEANS_TRANSIENT;
	if (status == 401 || status == 403 || status == 407 || status < 400)
		return MEANS_REFUSED;
	/* Without a code it was no AWS service that answered: the endpoint is wrong, not the request. */
	if (!error->named && (status == 404 || status == 405))
		return MEANS_REFUSED;
	return MEANS_INVALID;
}

struct aws_meaning aws_error_meaning(const struct aws_error *error, enum aws_service service, long status)
{
	enum meaning meaning;

	if (hides_throttling(error))
		meaning = MEANS_THROTTLED;
	else if (!error->named || !find_meaning(error->code, &meaning))
		meaning = meaning_of_status(error, service, status);
	if (meaning == MEANS_INVALID && status >= 500)
		return (struct aws_meaning){ ERROR_AMBIGUOUS, RETRY_NEVER, false };
	return meanings[meaning];
}

/* "com.amazonaws.sqs#QueueDoesNotExist:http://..." and the like, down to the name. */
static void set_code(struct aws_error *error, const char *raw)
{
	size_t len = strcspn(raw, ",:;");
	const char *hash = memchr(raw, '#', len);
	size_t used = 0;

	if (hash != NULL) {
		len -= (size_t)(hash - raw) + 1;
		raw = hash + 1;
	}
	for (size_t i = 0; i < len && used + 1 < sizeof(error->code); i++)
		if (isalnum((unsigned char)raw[i]) || strchr("._-", raw[i]) != NULL)
			error->code[used++] = raw[i];
	error->code[used] = '\0';
	error->named = used > 0;
}

void aws_error_clean(const char *text, char clean[LIMIT_AWS_TEXT_BYTES])
{
	static const char *const stops[] = { "AWS4-HMAC-SHA256", "Authorization=", "Authorization header:", "Signature=" };
	size_t len = strcspn(text, "\r\n");
	size_t used = 0;

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		const char *stop = strstr(text, stops[i]);

		if (stop != NULL && (size_t)(stop - text) < len)
			len = (size_t)(stop - text);
	}
	for (size_t i = 0; i < len && used + 1 < LIMIT_AWS_TEXT_BYTES; i++) {
		size_t digits = strspn(text + i, "0123456789abcdef");

		if (digits >= 64) {     /* a digest or a signature */
			i += digits - 1;
			clean[used++] = '*';
		} else {
			clean[used++] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
		}
	}
	/* A cut within a character would make the line invalid UTF-8. */
	if (used + 1 == LIMIT_AWS_TEXT_BYTES) {
		while (used > 0 && ((unsigned char)clean[used - 1] & 0xc0) == 0x80)
			used--;
		if (used > 0 && (unsigned char)clean[used - 1] >= 0xc0)
			used--;
	}
	while (used > 0 && clean[used - 1] == ' ')
		used--;
	clean[used] = '\0';
}

static void parse_json(struct aws_error *error)
{
	const char *code = json_at_string(error->doc, "__type");
	const char *text = json_at_string(error->doc, "message");

	if (code == NULL)
		code = json_at_string(error->doc, "code");
	if (text == NULL)
		text = json_at_string(error->doc, "Message");
	if (code != NULL)
		set_code(error, code);
	if (text != NULL)
		aws_error_clean(text, error->text);
}

/* SNS and STS answer like this, and some proxies and emulators in front of the other services. */
static void parse_xml(struct aws_error *error, const struct http_reply *reply)
{
	char *code = xml_tag_text(reply->body, reply->body_bytes, "Code");
	char *text = xml_tag_text(reply->body, reply->body_bytes, "Message");

	if (code != NULL)
		set_code(error, code);
	if (text != NULL)
		aws_error_clean(text, error->text);
	free(code);
	free(text);
}

/* What the headers say where the body says nothing that we know.  SQS repeats the code of its older protocol, which
 * emulators tend to get right even when they put rubbish in __type. */
static void parse_headers(struct aws_error *error, const struct http_reply *reply)
{
	static const char sqs_prefix[] = "AWS.SimpleQueueService.";
	const char *type = http_reply_header(reply, "x-amzn-errortype");
	const char *query = http_reply_header(reply, "x-amzn-query-error");
	struct aws_error alias = { 0 };
	enum meaning meaning;

	if (!error->named && type != NULL)
		set_code(error, type);
	if (query == NULL || (error->named && find_meaning(error->code, &meaning)))
		return;
	set_code(&alias, query);
	if (strncmp(alias.code, sqs_prefix, strlen(sqs_prefix)) == 0)
		memmove(alias.code, alias.code + strlen(sqs_prefix), strlen(alias.code + strlen(sqs_prefix)) + 1);
	if (strcmp(alias.code, "NonExistentQueue") == 0)
		snprintf(alias.code, sizeof(alias.code), "QueueDoesNotExist");
	if (alias.named && (!error->named || find_meaning(alias.code, &meaning))) {
		memcpy(error->code, alias.code, sizeof(error->code));
		error->named = true;
	}
}

void aws_error_parse(struct aws_error *error, const struct http_reply *reply)
{
	*error = (struct aws_error){ 0 };
	if (reply->body_bytes > 0)
		error->doc = json_at_parse(reply->body, reply->body_bytes, NULL);
	if (error->doc != NULL && !json_is_object(error->doc)) {
		json_decref(error->doc);
		error->doc = NULL;
	}
	if (error->doc != NULL)
		parse_json(error);
	else if (reply->body_bytes > 0)
		parse_xml(error, reply);
	parse_headers(error, reply);
	if (!error->named)
		snprintf(error->code, sizeof(error->code), "HTTP %ld", reply->status);
}

void aws_error_finish(struct aws_error *error)
{
	json_decref(error->doc);
	error->doc = NULL;
}
