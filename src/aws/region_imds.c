/* SPDX-License-Identifier: Apache-2.0 */
/* region_imds.c - see region_imds.h.
 * Protocol: Amazon EC2 User Guide, "Use the Instance Metadata Service". */
#include "aws/region_imds.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_impl.h"
#include "aws/metadata.h"
#include "base/mem.h"

enum {
	REGION_TRY_MS = 1000,
	REGION_TRIES = 2,
	LIMIT_REGION_BYTES = 64,
	LIMIT_REGION_TOKEN_BYTES = 4096,
};

struct region_imds {
	struct metadata_call call;
	char *base;
	region_imds_fn *done;
	void *arg;
};

static void lookup_destroy(struct region_imds *lookup)
{
	free(lookup->base);
	free(lookup);
}

static void finish(struct region_imds *lookup, const char *region, const struct error *err)
{
	lookup->done(lookup->arg, region, err);
	lookup_destroy(lookup);
}

static void refuse(struct region_imds *lookup, const char *what, const struct http_reply *reply,
	const struct error *err)
{
	struct error why;

	if (err != NULL)
		error_set(&why, ERROR_REFUSED, "%.400s", err->text);
	else
		error_set(&why, ERROR_REFUSED, "IMDS at %s gave no %s: HTTP status %ld", lookup->base, what, reply->status);
	finish(lookup, NULL, &why);
}

static void ask(struct region_imds *lookup, const char *method, const char *path, const char *header,
	metadata_done_fn *done)
{
	char *url = xasprintf("%s%s", lookup->base, path);
	const struct metadata_request request = {
		.method = method, .url = url, .headers = { header },
		.timeout_ms = REGION_TRY_MS, .tries = REGION_TRIES, .pause_s = 0.2,
	};

	metadata_start(&lookup->call, &request, done, lookup);
	free(url);
}

/* One word of printable bytes, or NULL. */
static char *word_of(const struct http_reply *reply, size_t limit)
{
	size_t size = reply->body_bytes;

	while (size > 0 && (reply->body[size - 1] == '\n' || reply->body[size - 1] == '\r'))
		size--;
	for (size_t i = 0; i < size; i++)
		if (reply->body[i] <= ' ' || reply->body[i] == 0x7f)
			return NULL;
	return size > 0 && size <= limit ? xstrndup(reply->body, size) : NULL;
}

static void on_region(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct region_imds *lookup = arg;
	char *region = err == NULL && reply->status == 200 ? word_of(reply, LIMIT_REGION_BYTES) : NULL;

	if (region != NULL)
		finish(lookup, region, NULL);
	else
		refuse(lookup, "region", reply, err);
	free(region);
}

static void on_token(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct region_imds *lookup = arg;
	char *token = err == NULL && reply->status == 200 ? word_of(reply, LIMIT_REGION_TOKEN_BYTES) : NULL;
	char *header;

	if (token == NULL) {
		refuse(lookup, "token", reply, err);
		return;
	}
	header = xasprintf("x-aws-ec2-metadata-token: %s", token);
	ask(lookup, "GET", "/latest/meta-data/placement/region", header, on_region);
	xfree_secret(header);
	xfree_secret(token);
}

struct region_imds *region_imds_start(struct ev_loop *loop, struct http_client *http, const struct profile *profile,
	region_imds_fn *done, void *arg, struct error *err)
{
	const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
	struct region_imds *lookup;
	char *base;

	if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
		error_set(err, ERROR_REFUSED, "IMDS is switched off (AWS_EC2_METADATA_DISABLED)");
		return NULL;
	}
	base = credentials_imds_base(profile, err);
	if (base == NULL)
		return NULL;
	lookup = xnew(struct region_imds);
	lookup->base = base;
	lookup->done = done;
	lookup->arg = arg;
	metadata_init(&lookup->call, loop, http);
	ask(lookup, "PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 60", on_token);
	return lookup;
}

void region_imds_cancel(struct region_imds *lookup)
{
	if (lookup == NULL)
		return;
	metadata_cancel(&lookup->call, NULL);
	lookup_destroy(lookup);
}
