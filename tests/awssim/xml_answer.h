/* SPDX-License-Identifier: Apache-2.0 */
/* xml_answer.h - the query protocol's XML, from the JSON of the same answer. */
#ifndef AWSSIM_XML_ANSWER_H
#define AWSSIM_XML_ANSWER_H

#include "aws_error.h"
#include "text.h"

void xml_answer(struct text *, const char *name_space, const char *action, json_t *out,
		const char *request_id);
void xml_answer_error(struct text *, const char *name_space, const struct aws_error *,
		      const char *request_id);

#endif
