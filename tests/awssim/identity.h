/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - the places credentials come from: instance metadata, the container endpoint, STS. */
#ifndef AWSSIM_IDENTITY_H
#define AWSSIM_IDENTITY_H

#include "simulator.h"

#include <jansson.h>

struct identity;
struct aws_error;

struct identity *identity_create(void);
void identity_destroy(struct identity *);
void identity_clear(struct identity *);
/* {"life_s", "expire", "container_token", "web_identity_token"} */
bool identity_configure(struct simulator *, json_t *wishes, struct aws_error *);

#endif
