/* SPDX-License-Identifier: Apache-2.0 */
/* aws_settings.h - what configuration, environment and shared files say about calls.
 *
 * Decides precedence, once, when a process starts: gantry.yaml, then the environment, then the
 * profile.  Credentials are not settings; credentials.h finds them. */
#ifndef AWS_AWS_SETTINGS_H
#define AWS_AWS_SETTINGS_H

#include <stdbool.h>

#include "aws/aws.h"
#include "aws/endpoint.h"
#include "aws/profile.h"
#include "base/error.h"
#include "conf/conf.h"

enum { LIMIT_AWS_TRIES = 20 };

struct aws_settings {
	char *region;                           /* NULL: nobody says; a call may still name its own */
	char *endpoints[AWS_SERVICES];          /* configured ones; NULL: none */
	bool fips, dual_stack;
	char *ca_bundle;                        /* NULL: none */
	unsigned tries;                         /* in total, of one call */
	bool skew_disabled;
};

/* ERROR_REFUSED: a value that cannot be understood, or values that exclude each other, by name. */
bool aws_settings_load(struct aws_settings *settings, const struct conf_aws *conf, const struct profile *profile,
	struct error *err);
void aws_settings_finish(struct aws_settings *settings);
/* Where to send a call: a configured endpoint, else origin (that of a queue's URL, may be NULL), else the
 * service's public one.  Sets endpoint. */
bool aws_settings_endpoint(const struct aws_settings *settings, enum aws_service service, const char *region,
	const char *origin, struct endpoint *endpoint, struct error *err);

#endif
