/* SPDX-License-Identifier: Apache-2.0 */
/* edition.c - see edition.h. */
#include "master/edition.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/conf_canonical.h"

/* They are between the service manager and the master. */
static bool is_ours_alone(const char *assignment)
{
	return strncmp(assignment, "NOTIFY_SOCKET=", 14) == 0 || strncmp(assignment, "WATCHDOG_", 9) == 0;
}

static bool is_replaced(const char *assignment, const struct pairs *by)
{
	const char *end = strchr(assignment, '=');
	size_t length = end != NULL ? (size_t)(end - assignment) : strlen(assignment);

	for (size_t i = 0; i < by->count; i++) {
		if (strlen(by->at[i].name) == length && strncmp(by->at[i].name, assignment, length) == 0)
			return true;
	}
	return false;
}

/* Ours at start, and what env_file added. */
static char **compose_environment(const struct pairs *more)
{
	size_t count = 0, used = 0;
	char **environment;

	while (environ[count] != NULL)
		count++;
	environment = xcalloc(count + more->count + 1, sizeof(*environment));
	for (size_t i = 0; i < count; i++) {
		if (!is_ours_alone(environ[i]) && !is_replaced(environ[i], more))
			environment[used++] = xstrdup(environ[i]);
	}
	for (size_t i = 0; i < more->count; i++)
		environment[used++] = xasprintf("%s=%s", more->at[i].name, more->at[i].value);
	return environment;
}

static void free_environment(char **environment)
{
	for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
		xfree_secret(environment[i]);
	free(environment);
}

struct edition *edition_create(const char *text, size_t size, int worker_fd, const struct identity *identity,
	struct error *err)
{
	struct edition *edition = xnew(struct edition);

	edition->references = 1;
	edition->config_fd = edition->worker_fd = edition->log.fd = -1;
	edition->conf = conf_canonical_read(text, size, err);
	if (edition->conf == NULL)
		goto fail;
	edition->config_hash = conf_canonical_hash(text, size);
	edition->config_fd = descriptor_sealed_memory("configuration", text, size, err);
	if (edition->config_fd < 0)
		goto fail;
	edition->worker_fd = fcntl(worker_fd, F_DUPFD_CLOEXEC, 3);
	if (edition->worker_fd < 0) {
		error_set_errno(err, ERROR_TEMPORARY, "gantry-worker");
		goto fail;
	}
	if (!log_target_open(&edition->log, &edition->conf->log, identity, err))
		goto fail;
	edition->environment = compose_environment(&edition->conf->environment);
	return edition;
fail:
	edition_unref(edition);
	return NULL;
}

struct edition *edition_inherit(int config_fd, int worker_fd, int log_fd, struct error *err)
{
	struct edition *edition = xnew(struct edition);
	size_t size;
	char *text = descriptor_read_all(config_fd, LIMIT_CONF_BYTES, &size, err);

	edition->references = 1;
	edition->config_fd = config_fd;
	edition->worker_fd = worker_fd;
	edition->log.fd = log_fd;
	if (text != NULL)
		edition->conf = conf_canonical_read(text, size, err);
	if (edition->conf == NULL || !log_target_inherit(&edition->log, &edition->conf->log, log_fd, err)) {
		xfree_secret(text);
		edition->config_fd = edition->worker_fd = edition->log.fd = -1;
		edition_unref(edition);
		return NULL;
	}
	edition->config_hash = conf_canonical_hash(text, size);
	edition->environment = compose_environment(&edition->conf->environment);
	xfree_secret(text);
	return edition;
}

struct edition *edition_ref(struct edition *edition)
{
	if (edition != NULL)
		edition->references++;
	return edition;
}

void edition_unref(struct edition *edition)
{
	if (edition == NULL || --edition->references > 0)
		return;
	conf_destroy(edition->conf);
	descriptor_close(&edition->config_fd);
	descriptor_close(&edition->worker_fd);
	log_target_close(&edition->log);
	free_environment(edition->environment);
	free(edition);
}

double edition_longest_wait_s(const struct edition *edition)
{
	int64_t longest_ms = 0;

	for (size_t i = 0; i < edition->conf->queue_count; i++) {
		if (edition->conf->queues[i].wait_time_ms > longest_ms)
			longest_ms = edition->conf->queues[i].wait_time_ms;
	}
	return (double)longest_ms / 1000;
}
