/* SPDX-License-Identifier: Apache-2.0 */
/* aws.h - one signed call of an AWS service, with the retries every SDK makes.
 *
 * A struct aws holds what all services share in a process: connections, credentials, region,
 * clock skew, retry tokens, figures.  sqs.h and ecs.h speak the services' words over it.
 * Rules: AWS SDKs and Tools Reference Guide, "Retry behavior" (standard mode); SigV4 in sigv4.h. */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"

struct aws;
struct aws_call;

enum aws_service { AWS_SQS, AWS_ECS, AWS_STS, AWS_SNS, AWS_LOGS, AWS_SERVICES };

enum { LIMIT_AWS_REPLY_BYTES = 24 << 20 };      /* ten messages of 1 MiB with JSON escapes fit */

/* Reads region, profile and endpoints from conf, environment and shared files; makes no call.
 * ERROR_REFUSED: a broken profile or setting, by name.  A region that nobody names is looked up when it is needed. */
struct aws *aws_create(struct ev_loop *loop, const struct log *log, const struct conf_aws *conf, struct error *err);
void aws_destroy(struct aws *aws);

typedef void aws_done_fn(void *arg, const struct error *err);
/* Warm-up: finds credentials, and the region if it can be had.  ERROR_REFUSED: there are none, with where it looked. */
void aws_probe(struct aws *aws, aws_done_fn *done, void *arg);

struct aws_request {
	enum aws_service service;
	const char *action;             /* "ReceiveMessage"; it outlives the call */
	const char *region;             /* NULL: the region of struct aws */
	const char *endpoint;           /* NULL: by the order of gantry.yaml(5); "https://host[:port][/path]" */
	json_t *input;                  /* JSON protocols; lent for the call */
	const char *text;               /* instead of input: the body as it is sent, JSON or the query protocol's (SNS); lent */
	unsigned timeout_ms;            /* per try; 0: 15 s */
	const char *const *reads;       /* names of the members, at any depth, that are read of the answer's document, NULL
					 * behind the last (json_at_parse_wanted()); it outlives the call; NULL: all */
	bool long_poll;                 /* its round trip says nothing about the clock; failures are paced */
	unsigned tries;                 /* in total; 0: three */
};

struct aws_reply {
	json_t *doc;                    /* parsed JSON object (an empty body is {}), at least what the call reads of it;
					 * NULL on error or for XML */
	const char *body;               /* as it came */
	size_t body_bytes;
	long status;
	const char *request_id;         /* AWS's; "" when it gave none */
	json_t *error_doc;              /* of a JSON error answer, for members beside code and text; else NULL */
};

/* err NULL on success.  err->code is the service's code ("QueueDoesNotExist"), kinds are as in error.h:
 * THROTTLED after the retries are used up, AMBIGUOUS when the last try may have had its effect.
 * reply (never NULL) and err are lent. */
typedef void aws_reply_fn(void *arg, const struct aws_reply *reply, const struct error *err);
struct aws_call *aws_call(struct aws *aws, const struct aws_request *request, aws_reply_fn *done, void *arg);
/* No completion after this.  NULL is allowed. */
void aws_call_cancel(struct aws_call *call);

/* "" while it is not known. */
const char *aws_region(const struct aws *aws);
struct ev_loop *aws_loop(const struct aws *aws);

/* What came of a try. */
enum aws_outcome {
	AWS_OUTCOME_OK,
	AWS_OUTCOME_THROTTLED,
	AWS_OUTCOME_REFUSED,            /* 4xx */
	AWS_OUTCOME_SERVER_ERROR,       /* 5xx, or an answer that is none */
	AWS_OUTCOME_NO_ANSWER,          /* no connection, cut, or timed out */
	AWS_OUTCOMES
};
/* told of each try that ended, the retries marked; a call that is cancelled ends without.  It must not come
 * back here. */
typedef void aws_outcome_fn(void *arg, enum aws_service service, const char *action, enum aws_outcome outcome, bool retry);
void aws_watch(struct aws *aws, aws_outcome_fn *told, void *arg);
/* "sqs" */
const char *aws_service_name(enum aws_service service);

struct aws_figures {
	uint64_t calls[AWS_SERVICES];           /* tries, as AWS bills them */
	uint64_t retries, throttles, failures;
	double skew_s;
	int64_t credentials_expire_ms;          /* wall clock; 0: never or unknown */
};
void aws_figures(const struct aws *aws, struct aws_figures *figures);

#endif
