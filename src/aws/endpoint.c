/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - see endpoint.h. */
#include "aws/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/service.h"
#include "base/mem.h"

struct partition {
	const char *regions;            /* prefixes with a blank after each */
	const char *dns, *dual_stack;
};

/* The first one is also for regions of the future.  us-gov- and us-iso- begin like us-, so the longest
 * prefix decides. */
static const struct partition partitions[] = {
	{ "us- eu- ap- sa- ca- me- af- il- mx- ", "amazonaws.com", "api.aws" },
	{ "cn- ", "amazonaws.com.cn", "api.amazonwebservices.com.cn" },
	{ "us-gov- ", "amazonaws.com", "api.aws" },
	{ "eusc- ", "amazonaws.eu", "api.amazonwebservices.eu" },
	{ "us-iso- ", "c2s.ic.gov", "api.aws.ic.gov" },
	{ "us-isob- ", "sc2s.sgov.gov", "api.aws.scloud" },
	{ "eu-isoe- ", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk" },
	{ "us-isof- ", "csp.hci.ic.gov", "api.aws.hci.ic.gov" },
};

static size_t prefix_bytes(const struct partition *partition, const char *region)
{
	const char *at = partition->regions;
	size_t longest = 0;

	while (*at != '\0') {
		size_t len = strcspn(at, " ");

		if (strncmp(region, at, len) == 0 && len > longest)
			longest = len;
		at += len + 1;
	}
	return longest;
}

static const struct partition *partition_of(const char *region)
{
	const struct partition *best = &partitions[0];

	for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++)
		if (prefix_bytes(&partitions[i], region) > prefix_bytes(best, region))
			best = &partitions[i];
	return best;
}

/* A region becomes part of a host name: nothing else may come in through it. */
static bool region_is_sane(const char *region)
{
	size_t len = strlen(region);

	return len > 0 && len < 64 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == len
		&& region[0] != '-' && region[len - 1] != '-';
}

const char *endpoint_signing_region(const char *region)
{
	return strcmp(region, "aws-global") == 0 ? "us-east-1" : region;
}

char *endpoint_of_service(enum aws_service service, const char *region, bool fips, bool dual_stack,
	struct error *err)
{
	const struct partition *partition;
	const char *dns, *label = service_of(service)->label;

	if (!region_is_sane(region)) {
		error_set(err, ERROR_INVALID, "\"%.64s\" is not the name of an AWS region", region);
		return NULL;
	}
	if (service == AWS_STS && strcmp(region, "aws-global") == 0)
		return xstrdup("https://sts.amazonaws.com");
	region = endpoint_signing_region(region);
	partition = partition_of(region);
	dns = dual_stack ? partition->dual_stack : partition->dns;
	/* In GovCloud the plain hosts of these services are the FIPS ones. */
	if (fips && !dual_stack && service != AWS_ECS && strncmp(region, "us-gov-", 7) == 0)
		fips = false;
	return xasprintf("https://%s%s.%s.%s", label, fips ? "-fips" : "", region, dns);
}

/* Takes "host[:port]" apart and checks both; false when they are no such thing. */
static bool split_authority(const char *text, size_t len, bool tls, char **host)
{
	size_t name = len, colon = len;
	unsigned long port = 0;

	if (len > 0 && text[0] == '[') {
		const char *close = memchr(text, ']', len);

		if (close == NULL || strspn(text + 1, "0123456789abcdefABCDEF:.") != (size_t)(close - text) - 1)
			return false;
		name = (size_t)(close - text) + 1;
		if (name < len && text[name] != ':')
			return false;
		colon = name;
	} else {
		static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

		name = strspn(text, allowed);
		if (name > len)
			name = len;
		colon = name;
		if (name < len && text[name] != ':')
			return false;
	}
	if (name == 0)
		return false;
	if (colon + 1 < len) {
		if (strspn(text + colon + 1, "0123456789") < len - colon - 1 || len - colon - 1 > 5)
			return false;
		port = strtoul(text + colon + 1, NULL, 10);
		if (port == 0 || port > 65535)
			return false;
	}
	if (port == (tls ? 443u : 80u))
		port = 0;
	*host = port > 0 ? xasprintf("%.*s:%lu", (int)name, text, port) : xstrndup(text, name);
	for (char *c = *host; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return true;
}

static bool path_is_sane(const char *path)
{
	for (; *path != '\0'; path++)
		if ((unsigned char)*path <= ' ' || (unsigned char)*path >= 0x7f || *path == '?' || *path == '#')
			return false;
	return true;
}

bool endpoint_parse(struct endpoint *endpoint, const char *url, struct error *err)
{
	bool tls = strncasecmp(url, "https://", 8) == 0;
	const char *authority = url + (tls ? 8 : 7);
	size_t len;

	*endpoint = (struct endpoint){ 0 };
	if (strlen(url) > LIMIT_ENDPOINT_BYTES || (!tls && strncasecmp(url, "http://", 7) != 0))
		goto refuse;
	len = strcspn(authority, "/?#");
	/* A password in a URL must not reach a log, so the URL is not repeated. */
	if (memchr(authority, '@', len) != NULL) {
		error_set(err, ERROR_INVALID, "an endpoint URL may not hold a user or a password");
		return false;
	}
	if (!path_is_sane(authority + len) || !split_authority(authority, len, tls, &endpoint->host))
		goto refuse;
	endpoint->path = xstrdup(authority[len] == '/' ? authority + len : "/");
	endpoint->url = xasprintf("http%s://%s%s", tls ? "s" : "", endpoint->host, endpoint->path);
	return true;
refuse:
	error_set(err, ERROR_INVALID, "\"%.200s\" is not an endpoint URL: expected http[s]://host[:port][/path]", url);
	return false;
}

void endpoint_finish(struct endpoint *endpoint)
{
	free(endpoint->url);
	free(endpoint->host);
	free(endpoint->path);
	*endpoint = (struct endpoint){ 0 };
}

char *endpoint_origin(const char *url)
{
	struct endpoint endpoint;
	char *origin = NULL;

	if (endpoint_parse(&endpoint, url, NULL))
		origin = xstrndup(endpoint.url, strlen(endpoint.url) - strlen(endpoint.path));
	endpoint_finish(&endpoint);
	return origin;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), tail = strlen(end);

	return len >= tail && strcmp(text + len - tail, end) == 0;
}

/* The host without the DNS suffix of its partition ("sqs.eu-west-1"), or NULL. */
static char *strip_partition(const char *host)
{
	size_t best = 0;

	for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++) {
		const char *const suffixes[] = { partitions[i].dns, partitions[i].dual_stack };

		for (size_t k = 0; k < 2; k++) {
			size_t len = strlen(suffixes[k]);

			if (strlen(host) > len + 1 && ends_with(host, suffixes[k])
			    && host[strlen(host) - len - 1] == '.' && len > best)
				best = len;
		}
	}
	return best > 0 ? xstrndup(host, strlen(host) - best - 1) : NULL;
}

/* "sqs.R", "sqs-fips.R", "R.queue", "queue" and "vpce-x.sqs.R.vpce" are what AWS has given out over time. */
static char *region_of_labels(char *labels)
{
	char *at;

	if (strcmp(labels, "queue") == 0)
		return xstrdup("us-east-1");
	if (ends_with(labels, ".queue")) {
		labels[strlen(labels) - strlen(".queue")] = '\0';
		return region_is_sane(labels) ? xstrdup(labels) : NULL;
	}
	if (strncmp(labels, "vpce-", 5) == 0 && ends_with(labels, ".vpce")) {
		labels[strlen(labels) - strlen(".vpce")] = '\0';
		at = strstr(labels, ".sqs.");
		labels = at != NULL ? at + 1 : labels;
	}
	if (strncmp(labels, "sqs.", 4) == 0)
		labels += 4;
	else if (strncmp(labels, "sqs-fips.", 9) == 0)
		labels += 9;
	else
		return NULL;
	return region_is_sane(labels) ? xstrdup(labels) : NULL;
}

char *endpoint_region_of_queue(const char *queue_url)
{
	struct endpoint endpoint;
	char *labels = NULL, *region = NULL;

	if (endpoint_parse(&endpoint, queue_url, NULL))
		labels = strip_partition(endpoint.host);
	if (labels != NULL)
		region = region_of_labels(labels);
	free(labels);
	endpoint_finish(&endpoint);
	return region;
}
