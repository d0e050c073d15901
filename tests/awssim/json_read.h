/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.h - JSON as clients send it nearly always, read at several times jansson's speed. */
#ifndef AWSSIM_JSON_READ_H
#define AWSSIM_JSON_READ_H

#include <jansson.h>

/* As json_loadb(): a new reference, or NULL with the problem. */
json_t *json_read(const char *data, size_t bytes, json_error_t *problem);

#endif
