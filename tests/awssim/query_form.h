/* SPDX-License-Identifier: Apache-2.0 */
/* query_form.h - the AWS query protocol's form bodies, as the JSON that the same call would be.
 * `Attribute.1.Name=X&Attribute.1.Value=Y` becomes {"Attributes": {"X": "Y"}}. */
#ifndef AWSSIM_QUERY_FORM_H
#define AWSSIM_QUERY_FORM_H

#include <jansson.h>
#include <stddef.h>

/* A new object with Action and Version among its members; NULL for what is not a form. */
json_t *query_form_parse(const char *body, size_t bytes);

#endif
