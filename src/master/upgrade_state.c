/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_state.c - see upgrade_state.h.  One table of fields per record serves both directions. */
#include "master/upgrade_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/control_line.h"

enum field_type { FIELD_INT, FIELD_UNSIGNED, FIELD_BOOL, FIELD_I64, FIELD_U64, FIELD_SECONDS, FIELD_TEXT };

struct field {
	const char *key;        /* NULL ends a table */
	enum field_type type;
	size_t offset, size;
};

#define FIELD(record, type, member) \
	{ #member, type, offsetof(struct record, member), sizeof(((struct record *)NULL)->member) }

static const struct field daemon_fields[] = {
	FIELD(upgrade_daemon, FIELD_UNSIGNED, version),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, reader),
	FIELD(upgrade_daemon, FIELD_INT, program_fd),
	FIELD(upgrade_daemon, FIELD_TEXT, program),
	FIELD(upgrade_daemon, FIELD_INT, pid_fd),
	FIELD(upgrade_daemon, FIELD_INT, control_fd),
	FIELD(upgrade_daemon, FIELD_U64, control_device),
	FIELD(upgrade_daemon, FIELD_U64, control_inode),
	FIELD(upgrade_daemon, FIELD_INT, check_fd),
	FIELD(upgrade_daemon, FIELD_INT, worker_fd),
	FIELD(upgrade_daemon, FIELD_INT, api_fd),
	FIELD(upgrade_daemon, FIELD_INT, shim_fd),
	FIELD(upgrade_daemon, FIELD_INT, figures_fd),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, requests),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, scale_to),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, upgrades),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, reloads),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, last_number),
	FIELD(upgrade_daemon, FIELD_U64, last_serial),
	FIELD(upgrade_daemon, FIELD_TEXT, owner_prefix),
	FIELD(upgrade_daemon, FIELD_SECONDS, started_at),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, current),
	FIELD(upgrade_daemon, FIELD_INT, last_good),
	FIELD(upgrade_daemon, FIELD_BOOL, fall_back),
	FIELD(upgrade_daemon, FIELD_UNSIGNED, verdict),
	FIELD(upgrade_daemon, FIELD_TEXT, reason),
	{ .key = NULL },
};

static const struct field edition_fields[] = {
	FIELD(upgrade_edition, FIELD_UNSIGNED, id),
	FIELD(upgrade_edition, FIELD_INT, config_fd),
	FIELD(upgrade_edition, FIELD_INT, worker_fd),
	FIELD(upgrade_edition, FIELD_INT, api_fd),
	FIELD(upgrade_edition, FIELD_INT, shim_fd),
	FIELD(upgrade_edition, FIELD_INT, log_fd),
	{ .key = NULL },
};

static const struct field generation_fields[] = {
	FIELD(upgrade_generation, FIELD_UNSIGNED, number),
	FIELD(upgrade_generation, FIELD_UNSIGNED, state),
	FIELD(upgrade_generation, FIELD_UNSIGNED, edition),
	FIELD(upgrade_generation, FIELD_BOOL, fallback),
	FIELD(upgrade_generation, FIELD_SECONDS, committed_at),
	FIELD(upgrade_generation, FIELD_SECONDS, probation_until),
	{ .key = NULL },
};

static const struct field slot_fields[] = {
	FIELD(upgrade_slot, FIELD_UNSIGNED, generation),
	FIELD(upgrade_slot, FIELD_UNSIGNED, role),
	FIELD(upgrade_slot, FIELD_UNSIGNED, number),
	FIELD(upgrade_slot, FIELD_UNSIGNED, deaths),
	FIELD(upgrade_slot, FIELD_BOOL, crashed),
	FIELD(upgrade_slot, FIELD_U64, child),
	FIELD(upgrade_slot, FIELD_SECONDS, restart_at),
	{ .key = NULL },
};

static const struct field child_fields[] = {
	FIELD(upgrade_child, FIELD_U64, serial),
	FIELD(upgrade_child, FIELD_UNSIGNED, generation),
	FIELD(upgrade_child, FIELD_UNSIGNED, role),
	FIELD(upgrade_child, FIELD_UNSIGNED, slot),
	FIELD(upgrade_child, FIELD_UNSIGNED, state),
	FIELD(upgrade_child, FIELD_INT, pid),
	FIELD(upgrade_child, FIELD_INT, channel_fd),
	FIELD(upgrade_child, FIELD_INT, in_hand_fd),
	FIELD(upgrade_child, FIELD_INT, figures_fd),
	FIELD(upgrade_child, FIELD_TEXT, owner),
	FIELD(upgrade_child, FIELD_UNSIGNED, owed),
	FIELD(upgrade_child, FIELD_UNSIGNED, sequence_out),
	FIELD(upgrade_child, FIELD_UNSIGNED, sequence_in),
	FIELD(upgrade_child, FIELD_UNSIGNED, nonsense),
	FIELD(upgrade_child, FIELD_UNSIGNED, wait),
	FIELD(upgrade_child, FIELD_I64, drain_ms),
	FIELD(upgrade_child, FIELD_SECONDS, wait_until),
	FIELD(upgrade_child, FIELD_SECONDS, started_at),
	FIELD(upgrade_child, FIELD_SECONDS, active_at),
	FIELD(upgrade_child, FIELD_SECONDS, drain_at),
	FIELD(upgrade_child, FIELD_BOOL, killed),
	FIELD(upgrade_child, FIELD_BOOL, aborted),
	FIELD(upgrade_child, FIELD_BOOL, empty),
	FIELD(upgrade_child, FIELD_TEXT, reason),
	{ .key = NULL },
};

static const struct field client_fields[] = {
	FIELD(upgrade_client, FIELD_INT, fd),
	FIELD(upgrade_client, FIELD_UNSIGNED, wait),
	{ .key = NULL },
};

static const struct field orphan_fields[] = {
	FIELD(upgrade_orphan, FIELD_TEXT, owner),
	FIELD(upgrade_orphan, FIELD_TEXT, how),
	FIELD(upgrade_orphan, FIELD_TEXT, crashed_on),
	{ .key = NULL },
};

static const struct field listener_fields[] = {
	FIELD(upgrade_listener, FIELD_INT, fd),
	FIELD(upgrade_listener, FIELD_TEXT, text),
	FIELD(upgrade_listener, FIELD_U64, device),
	FIELD(upgrade_listener, FIELD_U64, inode),
	FIELD(upgrade_listener, FIELD_BOOL, lent),
	{ .key = NULL },
};

/* The records that there may be any number of. */
struct kind {
	const char *name;
	const struct field *fields;
	size_t record_bytes, array_offset, count_offset;
};

#define KIND(name, record, array, count) \
	{ #name, name##_fields, sizeof(struct record), offsetof(struct upgrade_state, array), \
	  offsetof(struct upgrade_state, count) }

static const struct kind kinds[] = {
	KIND(edition, upgrade_edition, editions, edition_count),
	KIND(generation, upgrade_generation, generations, generation_count),
	KIND(slot, upgrade_slot, slots, slot_count),
	KIND(child, upgrade_child, children, child_count),
	KIND(client, upgrade_client, clients, client_count),
	KIND(orphan, upgrade_orphan, orphans, orphan_count),
	KIND(listener, upgrade_listener, listeners, listener_count),
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const char DAEMON[] = "gantryd";

/* FNV-1a: against cuts and slips, not against an enemy; only our own child of an exec reads it. */
static uint64_t sum_of(const char *text, size_t size)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3;
	return sum;
}

void *upgrade_state_add(void *array, size_t *count, size_t record_bytes)
{
	char *records;

	/* The pointer's own type is the caller's, so it is copied rather than looked at. */
	memcpy(&records, array, sizeof(records));
	records = xreallocarray(records, *count + 1, record_bytes);
	memset(records + *count * record_bytes, 0, record_bytes);
	memcpy(array, &records, sizeof(records));
	return records + (*count)++ * record_bytes;
}

/* -- writing ---------------------------------------------------------------------------------- */

static long long read_number(const struct field *field, const void *at)
{
	switch (field->type) {
	case FIELD_INT: return *(const int *)at;
	case FIELD_UNSIGNED: return *(const unsigned *)at;
	case FIELD_BOOL: return *(const bool *)at;
	case FIELD_I64: return *(const int64_t *)at;
	case FIELD_U64: return (long long)*(const uint64_t *)at;
	case FIELD_SECONDS: return (long long)(*(const double *)at * 1e6 + 0.5);
	case FIELD_TEXT: break;
	}
	return 0;
}

static void write_record(struct buf *out, const char *name, const struct field *fields, const void *record)
{
	control_line_begin(out, name);
	for (const struct field *field = fields; field->key != NULL; field++) {
		const char *at = (const char *)record + field->offset;

		if (field->type == FIELD_TEXT)
			control_line_text(out, field->key, at);
		else
			control_line_number(out, field->key, read_number(field, at));
	}
	control_line_end(out);
}

void upgrade_state_encode(const struct upgrade_state *state, struct buf *out)
{
	size_t lines = 1;

	write_record(out, DAEMON, daemon_fields, &state->daemon);
	for (size_t k = 0; k < KINDS; k++) {
		const char *base = (const char *)state;
		const char *records;
		size_t count;

		memcpy(&records, base + kinds[k].array_offset, sizeof(records));
		memcpy(&count, base + kinds[k].count_offset, sizeof(count));
		for (size_t i = 0; i < count; i++, lines++)
			write_record(out, kinds[k].name, kinds[k].fields, records + i * kinds[k].record_bytes);
	}
	buf_printf(out, "end lines=%zu sum=%" PRIx64 "\n", lines, sum_of(buf_text(out), out->size));
}

/* -- reading ---------------------------------------------------------------------------------- */

static bool write_number(const struct field *field, void *at, const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return false;
	switch (field->type) {
	case FIELD_INT:
		*(int *)at = (int)value;
		return value == (int)value;
	case FIELD_UNSIGNED:
		*(unsigned *)at = (unsigned)value;
		return value >= 0 && value <= UINT32_MAX;
	case FIELD_BOOL:
		*(bool *)at = value != 0;
		return value == 0 || value == 1;
	case FIELD_I64:
		*(int64_t *)at = value;
		return true;
	case FIELD_U64:
		*(uint64_t *)at = (uint64_t)value;
		return value >= 0;
	case FIELD_SECONDS:
		*(double *)at = (double)value / 1e6;
		return true;
	case FIELD_TEXT:
		break;
	}
	return false;
}

static bool read_record(const struct control_line *line, const struct field *fields, void *record)
{
	for (const struct field *field = fields; field->key != NULL; field++) {
		const char *text = control_line_find(line, field->key);
		char *at = (char *)record + field->offset;

		if (text == NULL)
			continue;
		if (field->type != FIELD_TEXT) {
			if (!write_number(field, at, text))
				return false;
		} else if ((size_t)snprintf(at, field->size, "%s", text) >= field->size) {
			return false;
		}
	}
	return true;
}

static bool read_line(struct upgrade_state *state, const struct control_line *line)
{
	if (strcmp(line->name, DAEMON) == 0)
		return read_record(line, daemon_fields, &state->daemon);
	for (size_t k = 0; k < KINDS; k++) {
		char *base = (char *)state;
		size_t *count = (size_t *)(void *)(base + kinds[k].count_offset);

		if (strcmp(line->name, kinds[k].name) != 0)
			continue;
		return *count < LIMIT_UPGRADE_RECORDS &&
			read_record(line, kinds[k].fields,
				upgrade_state_add(base + kinds[k].array_offset, count, kinds[k].record_bytes));
	}
	return true;
}

/* Where the last line begins, when it is there whole and its sum is right. */
static const char *find_end(const char *text, size_t size, size_t lines)
{
	char expected[64];
	const char *last = text + size - (size > 0);
	int length;

	if (size == 0 || text[size - 1] != '\n')
		return NULL;
	while (last > text && last[-1] != '\n')
		last--;
	length = snprintf(expected, sizeof(expected), "end lines=%zu sum=%" PRIx64 "\n", lines,
		sum_of(text, (size_t)(last - text)));
	if ((size_t)length != (size_t)(text + size - last) || memcmp(last, expected, (size_t)length) != 0)
		return NULL;
	return last;
}

static size_t count_lines(const char *text, size_t size)
{
	size_t lines = 0;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return lines;
}

bool upgrade_state_decode(struct upgrade_state *state, const char *text, size_t size, struct error *err)
{
	size_t lines = count_lines(text, size);
	const char *last = find_end(text, size, lines > 0 ? lines - 1 : 0);
	struct control_line line;

	*state = (struct upgrade_state){ .child_count = 0 };
	if (last == NULL) {
		error_set(err, ERROR_INVALID, "state of the daemon: cut or damaged");
		return false;
	}
	for (const char *at = text, *end; at < last; at = end + 1) {
		bool ok;

		end = memchr(at, '\n', (size_t)(last - at));
		if (!control_line_parse(&line, at, (size_t)(end - at), err)) {
			error_prefix(err, "state of the daemon");
			return false;
		}
		ok = read_line(state, &line);
		if (!ok)
			error_set(err, ERROR_INVALID, "state of the daemon: a record \"%s\" that makes no sense", line.name);
		control_line_finish(&line);
		if (!ok)
			return false;
	}
	if (state->daemon.version != 0 && state->daemon.reader <= UPGRADE_STATE_VERSION)
		return true;
	error_set(err, ERROR_INVALID, "state of the daemon: version %u, which we (%d) cannot read",
		state->daemon.version, UPGRADE_STATE_VERSION);
	return false;
}

int upgrade_state_program_fd(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);
	struct control_line line;
	struct upgrade_daemon daemon = { .program_fd = -1 };

	if (end == NULL || !control_line_parse(&line, text, (size_t)(end - text), NULL))
		return -1;
	if (strcmp(line.name, DAEMON) != 0 || !read_record(&line, daemon_fields, &daemon))
		daemon.program_fd = -1;
	control_line_finish(&line);
	return daemon.program_fd;
}

void upgrade_state_finish(struct upgrade_state *state)
{
	free(state->editions);
	free(state->generations);
	free(state->slots);
	free(state->children);
	free(state->clients);
	free(state->orphans);
	free(state->listeners);
	*state = (struct upgrade_state){ .child_count = 0 };
}
