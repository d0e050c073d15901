/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - what tells one AWS service from another on the wire: names, protocol, hosts.
 * Source: the services' models (metadata) as the SDKs ship them. */
#ifndef AWS_SERVICE_H
#define AWS_SERVICE_H

#include "aws/aws.h"

enum service_protocol {
	SERVICE_JSON,           /* AWS JSON: the operation is in X-Amz-Target, the body is a JSON object */
	SERVICE_QUERY,          /* AWS query: a form with Action and Version, answered in XML */
};

struct service {
	const char *name;               /* for people: "SQS" */
	const char *label;              /* in host names and in signatures: "sqs" */
	enum service_protocol protocol;
	const char *content_type;
	const char *target;             /* before the operation in X-Amz-Target; NULL for the query protocol */
	const char *endpoint_env;       /* "AWS_ENDPOINT_URL_SQS" */
	const char *profile_section;    /* in a profile's `services`: "sqs" */
	bool binary;                    /* strings of its answers may hold NUL */
};

const struct service *service_of(enum aws_service service);

#endif
