/* SPDX-License-Identifier: Apache-2.0 */
/* aws_error.c - the table of error shapes, from the service models and the services' documents. */
#include "aws_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CORAL "com.amazon.coral.service"
#define QUERY "AWS.SimpleQueueService."

static const struct aws_error_kind kinds[] = {
	{ .shape = "QueueDoesNotExist", .query_code = QUERY "NonExistentQueue", .status = 400 },
	{ .shape = "QueueNameExists", .query_code = "QueueAlreadyExists", .status = 400 },
	{ .shape = "QueueDeletedRecently", .query_code = QUERY "QueueDeletedRecently",
	  .status = 400 },
	{ .shape = "RequestThrottled", .status = 403 },
	{ .shape = "OverLimit", .status = 403 },
	{ .shape = "ReceiptHandleIsInvalid", .status = 404 },
	{ .shape = "MessageNotInflight", .query_code = QUERY "MessageNotInflight", .status = 400 },
	{ .shape = "InvalidAddress", .status = 404 },
	{ .shape = "InvalidSecurity", .status = 403 },
	{ .shape = "TooManyEntriesInBatchRequest",
	  .query_code = QUERY "TooManyEntriesInBatchRequest", .status = 400 },
	{ .shape = "EmptyBatchRequest", .query_code = QUERY "EmptyBatchRequest", .status = 400 },
	{ .shape = "BatchEntryIdsNotDistinct", .query_code = QUERY "BatchEntryIdsNotDistinct",
	  .status = 400 },
	{ .shape = "InvalidBatchEntryId", .query_code = QUERY "InvalidBatchEntryId",
	  .status = 400 },
	{ .shape = "BatchRequestTooLong", .query_code = QUERY "BatchRequestTooLong",
	  .status = 400 },
	{ .shape = "PurgeQueueInProgress", .query_code = QUERY "PurgeQueueInProgress",
	  .status = 403 },
	{ .shape = "UnsupportedOperation", .query_code = QUERY "UnsupportedOperation",
	  .status = 400 },
	{ .shape = "ResourceNotFoundException", .status = 404 },
	{ .shape = "KmsThrottled", .query_code = "KMS.ThrottlingException", .status = 400 },
	{ .shape = "KmsAccessDenied", .query_code = "KMS.AccessDeniedException", .status = 400 },
	{ .shape = "InvalidParameterValue", .name_space = CORAL, .status = 400 },
	{ .shape = "MissingParameter", .name_space = CORAL, .status = 400 },
	{ .shape = "SerializationException", .name_space = CORAL, .query_code = "MalformedInput",
	  .status = 400 },
	{ .shape = "UnknownOperationException", .name_space = CORAL, .query_code = "InvalidAction",
	  .status = 400 },
	{ .shape = "ThrottlingException", .name_space = CORAL, .query_code = "Throttling",
	  .status = 400 },
	{ .shape = "InternalFailure", .name_space = CORAL, .status = 500 },
	{ .shape = "InternalError", .name_space = CORAL, .status = 500 },
	{ .shape = "ServiceUnavailable", .name_space = CORAL, .status = 503 },
	{ .shape = "ServerException", .status = 500 },
	{ .shape = "AccessDeniedException", .name_space = CORAL, .query_code = "AccessDenied",
	  .status = 403, .json_status = 400 },
	{ .shape = "MissingAuthenticationTokenException", .name_space = CORAL,
	  .query_code = "MissingAuthenticationToken", .status = 403, .json_status = 400 },
	{ .shape = "IncompleteSignatureException", .name_space = CORAL,
	  .query_code = "IncompleteSignature", .status = 400 },
	{ .shape = "UnrecognizedClientException", .name_space = CORAL,
	  .query_code = "InvalidClientTokenId", .status = 403, .json_status = 400 },
	{ .shape = "ExpiredTokenException", .name_space = CORAL, .query_code = "ExpiredToken",
	  .status = 403, .json_status = 400 },
	{ .shape = "InvalidSignatureException", .name_space = CORAL,
	  .query_code = "SignatureDoesNotMatch", .status = 403, .json_status = 400 },
};

const struct aws_error_kind *aws_error_kind(const char *shape)
{
	static const struct aws_error_kind unknown = { .status = 400 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].shape, shape) == 0)
			return &kinds[i];
	}
	return &unknown;
}

void aws_error_set(struct aws_error *error, const char *shape, const char *format, ...)
{
	va_list args;

	if (aws_error_is_set(error))
		return;
	snprintf(error->shape, sizeof(error->shape), "%s", shape);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
}

void aws_error_finish(struct aws_error *error)
{
	json_decref(error->members);
	*error = (struct aws_error){ .status = 0 };
}
