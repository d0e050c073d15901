/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - where an AWS service answers: partitions, host names, queue URLs.
 *
 * Pure functions over text; which of several configured endpoints counts is decided by aws.c.
 * Source: the SDKs' partitions.json and the services' endpoint rule sets. */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include <stdbool.h>

#include "aws/aws.h"
#include "base/error.h"

enum { LIMIT_ENDPOINT_BYTES = 2048 };

/* One URL, taken apart in the form that is both sent and signed. */
struct endpoint {
	char *url;              /* "https://sqs.us-east-1.amazonaws.com/": scheme, host and path, nothing else */
	char *host;             /* lower case, with ":port" unless it is the scheme's own: the Host header */
	char *path;             /* begins with '/' */
};

/* "http[s]://host[:port][/path]"; ERROR_INVALID for anything else, without repeating a password. */
bool endpoint_parse(struct endpoint *endpoint, const char *url, struct error *err);
void endpoint_finish(struct endpoint *endpoint);
/* The public endpoint of a service, the caller's to free.  Knows every partition; a region of none is
 * taken for one of the partition aws.  ERROR_INVALID: not the shape of a region. */
char *endpoint_of_service(enum aws_service service, const char *region, bool fips, bool dual_stack,
	struct error *err);
/* What the signature names for a region: "aws-global" is signed as us-east-1. */
const char *endpoint_signing_region(const char *region);
/* "https://host[:port]" of a URL, the caller's to free; NULL when it is none. */
char *endpoint_origin(const char *url);
/* The region in a queue's URL, the caller's to free; NULL when its host is not one of AWS's. */
char *endpoint_region_of_queue(const char *queue_url);

#endif
