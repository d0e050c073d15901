/* SPDX-License-Identifier: Apache-2.0 */
/* region_imds.h - the region that an EC2 instance is in, asked from its metadata service (version 2).
 * The last resort, when neither configuration nor environment nor profile names one. */
#ifndef AWS_REGION_IMDS_H
#define AWS_REGION_IMDS_H

#include <ev.h>

#include "aws/profile.h"
#include "base/error.h"
#include "net/http_client.h"

struct region_imds;

/* region NULL: err says why.  Lent; the lookup is over and gone after this. */
typedef void region_imds_fn(void *arg, const char *region, const struct error *err);
/* NULL with ERROR_REFUSED when the metadata service is switched off or its address is none. */
struct region_imds *region_imds_start(struct ev_loop *loop, struct http_client *http, const struct profile *profile,
	region_imds_fn *done, void *arg, struct error *err);
/* NULL is allowed. */
void region_imds_cancel(struct region_imds *lookup);

#endif
