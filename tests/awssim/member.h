/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - members of a request, with their types checked.
 * Absent and null are the same and leave the value as it was; a wrong type is a
 * SerializationException and gives false, as with AWS's own parsers. */
#ifndef AWSSIM_MEMBER_H
#define AWSSIM_MEMBER_H

#include "aws_error.h"

bool member_string(const json_t *object, const char *name, const char **value,
		   struct aws_error *);
bool member_integer(const json_t *object, const char *name, json_int_t *value,
		    struct aws_error *);
bool member_bool(const json_t *object, const char *name, bool *value, struct aws_error *);
bool member_array(const json_t *object, const char *name, json_t **value, struct aws_error *);
bool member_object(const json_t *object, const char *name, json_t **value, struct aws_error *);

#endif
