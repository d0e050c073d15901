/* SPDX-License-Identifier: Apache-2.0 */
/* aws_error.h - what went wrong with a call, in AWS's words.
 * The shape (`__type` of the JSON protocols) is what code here names; the table knows the older
 * query code and the HTTP status that belong to it. */
#ifndef AWSSIM_AWS_ERROR_H
#define AWSSIM_AWS_ERROR_H

#include <jansson.h>
#include <stdbool.h>

struct aws_error {
	char shape[96];         /* "": no error */
	char message[512];
	int status;             /* 0: the table's */
	json_t *members;        /* more members of the error's body, ours; NULL: none */
};

/* Where an error's shape lives, what its query code is, and its status. */
struct aws_error_kind {
	const char *shape;
	const char *name_space;         /* of `__type` in SQS answers; NULL: com.amazonaws.sqs */
	const char *query_code;         /* NULL: as the shape */
	int status;                     /* query and SQS */
	int json_status;                /* ECS, when it differs; 0: the same */
};

/* Keeps the first error: what follows is mostly its consequence. */
void aws_error_set(struct aws_error *, const char *shape, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void aws_error_finish(struct aws_error *);
/* Never NULL: an unknown shape is a 400 with itself as the code. */
const struct aws_error_kind *aws_error_kind(const char *shape);

static inline bool aws_error_is_set(const struct aws_error *error)
{
	return error->shape[0] != '\0';
}

#endif
