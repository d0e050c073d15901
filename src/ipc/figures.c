/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - see figures.h.  A row's kind is written last, so that whoever reads beside us sees either a
 * whole row or none. */
#include "ipc/figures.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[FIGURES_KINDS] = {
	[FIGURES_NONE] = "none",
	[FIGURES_RELOADS] = "reloads",
	[FIGURES_RESTARTS] = "restarts",
	[FIGURES_PROCESS] = "process",
	[FIGURES_QUEUE] = "queue",
	[FIGURES_AWS] = "aws",
	[FIGURES_DEPLOYER] = "deployer",
	[FIGURES_WAIT] = "wait",
	[FIGURES_LAUNCH] = "launch",
	[FIGURES_RUN] = "run",
	[FIGURES_SETTLE] = "settle",
	[FIGURES_SINK] = "sink",
	[FIGURES_ROUTE] = "route",
	[FIGURES_ROUTE_TIME] = "route_time",
};

const unsigned figures_codes[FIGURES_CODES] = {
	200, 202, 204, 206, 304, 400, 401, 403, 404, 405, 406, 409, 413, 415, 416, 429, 500, 503, 504,
};

static const double answer_bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300 };
static const double deployment_bounds[] = {
	1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400,
};

_Static_assert(FIGURES_CODES + 1 <= FIGURES_VALUES, "a row has a number for each status");
_Static_assert(sizeof(deployment_bounds) / sizeof(double) + 2 <= FIGURES_VALUES, "a histogram fits into a row");
_Static_assert(sizeof(answer_bounds) / sizeof(double) + 2 <= FIGURES_VALUES, "a histogram fits into a row");

const char *figures_kind_name(enum figures_kind kind)
{
	return kind < FIGURES_KINDS ? names[kind] : "unknown";
}

const double *figures_bounds(enum figures_kind kind, size_t *count)
{
	switch (kind) {
	case FIGURES_LAUNCH:
	case FIGURES_SETTLE:
	case FIGURES_ROUTE_TIME:
		*count = sizeof(answer_bounds) / sizeof(double);
		return answer_bounds;
	case FIGURES_WAIT:
	case FIGURES_RUN:
		*count = sizeof(deployment_bounds) / sizeof(double);
		return deployment_bounds;
	default:
		*count = 0;
		return NULL;
	}
}

/* -- the page --------------------------------------------------------------------------------- */

static bool write_head(int fd)
{
	struct { uint32_t magic, version, row_bytes, rows; } head = {
		FIGURES_MAGIC, FIGURES_VERSION, sizeof(struct figures_row), LIMIT_FIGURES_ROWS,
	};

	_Static_assert(sizeof(head) <= offsetof(struct figures, row), "the head is in front of the rows");
	return pwrite(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head);
}

int figures_create(struct error *err)
{
	int fd = memfd_create("figures", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Sealed: a worker gone mad that made it shorter would take the master with it. */
	if (fd >= 0 && ftruncate(fd, sizeof(struct figures)) == 0 && write_head(fd) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	error_set_errno(err, ERROR_TEMPORARY, "shared memory for figures");
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool is_ours(const struct figures *page)
{
	return page->magic == FIGURES_MAGIC && page->version == FIGURES_VERSION &&
		page->row_bytes == sizeof(struct figures_row) && page->rows == LIMIT_FIGURES_ROWS;
}

struct figures *figures_map(int fd, struct error *err)
{
	struct stat status;
	void *page;

	if (fstat(fd, &status) != 0 || status.st_size != (off_t)sizeof(struct figures)) {
		error_set(err, ERROR_INVALID, "shared memory of figures: of another layout");
		return NULL;
	}
	page = mmap(NULL, sizeof(struct figures), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		error_set_errno(err, ERROR_TEMPORARY, "shared memory of figures");
		return NULL;
	}
	if (is_ours(page))
		return page;
	error_set(err, ERROR_INVALID, "shared memory of figures: of another layout");
	munmap(page, sizeof(struct figures));
	return NULL;
}

void figures_unmap(struct figures *figures)
{
	if (figures != NULL)
		munmap(figures, sizeof(*figures));
}

/* -- counting --------------------------------------------------------------------------------- */

static uint32_t kind_of(const struct figures_row *row)
{
	return __atomic_load_n(&row->kind, __ATOMIC_ACQUIRE);
}

static bool is_row(const struct figures_row *row, uint32_t kind, const char *name)
{
	return row->kind == kind && strncmp(row->name, name, FIGURES_NAME_BYTES - 1) == 0;
}

/* near is where it probably is. */
static struct figures_row *find_row(struct figures *figures, uint32_t kind, const char *name, size_t near)
{
	size_t at = 0;

	if (is_row(&figures->row[near], kind, name))
		return &figures->row[near];
	while (at < LIMIT_FIGURES_ROWS && figures->row[at].kind != FIGURES_NONE) {
		if (is_row(&figures->row[at], kind, name))
			return &figures->row[at];
		at++;
	}
	/* The last ones are kept for what there is no room for, a row for each kind. */
	if (at + FIGURES_KINDS >= LIMIT_FIGURES_ROWS && strcmp(name, FIGURES_OTHER) != 0)
		return find_row(figures, kind, FIGURES_OTHER, 0);
	if (at == LIMIT_FIGURES_ROWS)
		return NULL;
	snprintf(figures->row[at].name, FIGURES_NAME_BYTES, "%s", name);
	__atomic_store_n(&figures->row[at].kind, kind, __ATOMIC_RELEASE);
	return &figures->row[at];
}

struct figures_row *figures_row(struct figures *figures, enum figures_kind kind, const char *name)
{
	return figures != NULL ? find_row(figures, kind, name, 0) : NULL;
}

static uint64_t load(const uint64_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

void figures_set(struct figures_row *row, unsigned value, uint64_t count)
{
	if (row != NULL)
		__atomic_store_n(&row->values[value], count, __ATOMIC_RELAXED);
}

void figures_add(struct figures_row *row, unsigned value, uint64_t count)
{
	if (row != NULL)
		figures_set(row, value, row->values[value] + count);
}

void figures_observe(struct figures_row *row, double s)
{
	const double *bounds;
	size_t count, at = 0;

	if (row == NULL)
		return;
	/* A clock that was set back makes no negative time. */
	if (!(s > 0))
		s = 0;
	bounds = figures_bounds((enum figures_kind)row->kind, &count);
	while (at < count && s > bounds[at])
		at++;
	figures_add(row, (unsigned)at, 1);
	figures_add(row, (unsigned)count + 1, (uint64_t)(s * 1e6));
}

void figures_count_aws(struct figures *figures, const char *service, const char *action, unsigned outcome, bool retry)
{
	char name[FIGURES_NAME_BYTES];
	struct figures_row *row;

	snprintf(name, sizeof(name), "%s/%s", service, action);
	row = figures_row(figures, FIGURES_AWS, name);
	figures_add(row, outcome, 1);
	if (retry)
		figures_add(row, FIGURES_AWS_RETRIES, 1);
}

/* -- adding up -------------------------------------------------------------------------------- */

size_t figures_rows(const struct figures *figures)
{
	size_t count = 0;

	while (count < LIMIT_FIGURES_ROWS && kind_of(&figures->row[count]) != FIGURES_NONE)
		count++;
	return count;
}

void figures_merge(struct figures *sum, const struct figures *page)
{
	char name[FIGURES_NAME_BYTES];
	uint32_t kind;
	size_t near = 0;

	for (size_t i = 0; i < LIMIT_FIGURES_ROWS; i++) {
		struct figures_row *row;

		kind = kind_of(&page->row[i]);
		if (kind == FIGURES_NONE)
			return;
		memcpy(name, page->row[i].name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		/* Processes of a kind make the same rows in nearly the same order, if not from the first row on. */
		row = find_row(sum, kind, name, near);
		near = row != NULL ? (size_t)(row - sum->row + 1) % LIMIT_FIGURES_ROWS : 0;
		for (unsigned k = 0; row != NULL && k < FIGURES_VALUES; k++)
			figures_add(row, k, load(&page->row[i].values[k]));
	}
}
