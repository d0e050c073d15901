/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - see service.h. */
#include "aws/service.h"

#define FORM "application/x-www-form-urlencoded; charset=utf-8"

static const struct service services[AWS_SERVICES] = {
	[AWS_SQS] = { "SQS", "sqs", SERVICE_JSON, "application/x-amz-json-1.0", "AmazonSQS",
		"AWS_ENDPOINT_URL_SQS", "sqs" },
	[AWS_ECS] = { "ECS", "ecs", SERVICE_JSON, "application/x-amz-json-1.1", "AmazonEC2ContainerServiceV20141113",
		"AWS_ENDPOINT_URL_ECS", "ecs" },
	[AWS_STS] = { "STS", "sts", SERVICE_QUERY, FORM, NULL, "AWS_ENDPOINT_URL_STS", "sts" },
	[AWS_SNS] = { "SNS", "sns", SERVICE_QUERY, FORM, NULL, "AWS_ENDPOINT_URL_SNS", "sns" },
	[AWS_LOGS] = { "CloudWatch Logs", "logs", SERVICE_JSON, "application/x-amz-json-1.1", "Logs_20140328",
		"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "cloudwatch_logs", .binary = true },
};

const struct service *service_of(enum aws_service service)
{
	return &services[service];
}
