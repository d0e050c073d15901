/* SPDX-License-Identifier: Apache-2.0 */
/* aws_impl.h - what aws.c (a process's AWS) and aws_call.c (one call) share. */
#ifndef AWS_AWS_IMPL_H
#define AWS_AWS_IMPL_H

#include "aws/aws.h"
#include "aws/aws_place.h"
#include "aws/aws_settings.h"
#include "aws/credentials.h"
#include "aws/region_imds.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "aws/skew.h"
#include "base/buf.h"
#include "base/list.h"
#include "net/http_client.h"

enum { LIMIT_AWS_HEAD_BYTES = 128 << 10 };      /* all headers of a request; a session token has some thousand bytes at most */

struct aws {
	struct ev_loop *loop;
	struct log log;
	struct profile *profile;
	struct aws_settings settings;
	struct http_client *http;
	struct credentials_source *credentials;
	struct region_imds *region_lookup;      /* under way, when nobody else names a region */
	double region_asked_s;                  /* monotonic; 0: never */
	struct error region_why;                /* what the last lookup met */
	struct aws_places places;
	struct buf head;                        /* header lines of the try being sent; wiped after it */
	time_t stamped;                         /* the second that stamp names */
	char stamp[SIGV4_STAMP_BYTES];
	struct skew skew;
	bool skew_told;                         /* warned that the clock is off; until it is right again */
	struct retry_bucket buckets[AWS_SERVICES];
	struct aws_figures figures;
	aws_outcome_fn *outcome;                /* aws_watch(); NULL: nobody */
	void *outcome_arg;
	struct list calls;                      /* aws_call::link */
	struct list probes;                     /* aws_probe::link */
};

/* aws.c: whether a region may be known soon; starts looking for it.  aws_calls_wake() follows, not from inside this. */
bool aws_region_awaited(struct aws *aws);
/* aws_call.c: the region is known, or will not be. */
void aws_calls_wake(struct aws *aws);
/* aws_call.c: without completions. */
void aws_calls_cancel(struct aws *aws);

#endif
