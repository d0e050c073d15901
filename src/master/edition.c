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

static struct edition *alloc(void)
{
	struct edition *edition = xnew(struct edition);

	edition->references = 1;
	edition->config_fd = edition->worker_fd = edition->api_fd = edition->shim_fd = edition->log.fd = -1;
	return edition;
}

static bool duplicate(int *fd, int program_fd, const char *name, struct error *err)
{
	if (program_fd < 0)
		return true;
	*fd = fcntl(program_fd, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		error_set_errno(err, ERROR_TEMPORARY, "%s", name);
	return *fd >= 0;
}

static bool take_programs(struct edition *edition, const struct programs *programs, struct error *err)
{
	if (edition->conf->api != NULL && programs->api_fd < 0) {
		error_set(err, ERROR_REFUSED, "api: this installation has no gantry-api: it was built without it");
		return false;
	}
	return duplicate(&edition->worker_fd, programs->worker_fd, "gantry-worker", err) &&
		duplicate(&edition->api_fd, programs->api_fd, "gantry-api", err) &&
		duplicate(&edition->shim_fd, programs->shim_fd, "gantry-shim", err);
}

struct edition *edition_create(const char *text, size_t size, const struct programs *programs,
	const struct identity *identity, struct error *err)
{
	struct edition *edition = alloc();

	edition->conf = conf_canonical_read(text, size, err);
	if (edition->conf == NULL)
		goto fail;
	edition->config_hash = conf_canonical_hash(text, size);
	edition->config_fd = descriptor_sealed_memory("configuration", text, size, err);
	if (edition->config_fd < 0 || !take_programs(edition, programs, err) ||
	    !log_target_open(&edition->log, &edition->conf->log, identity, err))
		goto fail;
	edition->environment = compose_environment(&edition->conf->environment);
	return edition;
fail:
	edition_unref(edition);
	return NULL;
}

struct edition *edition_inherit(const struct edition_fds *fds, struct error *err)
{
	struct edition *edition = alloc();
	size_t size;
	char *text = descriptor_read_all(fds->config, LIMIT_CONF_BYTES, &size, err);

	if (text != NULL)
		edition->conf = conf_canonical_read(text, size, err);
	if (edition->conf == NULL || !log_target_inherit(&edition->log, &edition->conf->log, fds->log, err)) {
		xfree_secret(text);
		edition->log.fd = -1;
		edition_unref(edition);
		return NULL;
	}
	edition->config_fd = fds->config;
	edition->worker_fd = fds->worker;
	edition->api_fd = fds->api;
	edition->shim_fd = fds->shim;
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
	descriptor_close(&edition->api_fd);
	descriptor_close(&edition->shim_fd);
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
