/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - the list of rules and when one of them fires.  What firing means is call.c's. */
#include "fault.h"

#include "member.h"
#include "xalloc.h"

enum { FAULT_DEFAULT_HUGE_BYTES = 24 * 1024 * 1024 };

struct faults {
	struct list rules;
	size_t count;
};

static const struct {
	const char *name;
	bool effect;            /* the default: does the call do what it was asked? */
} kinds[FAULT_KINDS] = {
	[FAULT_LOST_ANSWER] = { "lost_answer", true },
	[FAULT_DROP_BEFORE] = { "drop_before", false },
	[FAULT_STALL] = { "stall", true },
	[FAULT_ERROR] = { "error", false },
	[FAULT_THROTTLE] = { "throttle", false },
	[FAULT_HTTP_500] = { "http_500", false },
	[FAULT_HIDDEN_THROTTLE] = { "hidden_throttle", false },
	[FAULT_FAILURES] = { "failures", false },
	[FAULT_MISSING] = { "missing", false },
	[FAULT_EMPTY] = { "empty", false },
	[FAULT_DELAY] = { "delay", true },
	[FAULT_HTML] = { "html", false },
	[FAULT_TRUNCATE] = { "truncate", true },
	[FAULT_CUT] = { "cut", true },
	[FAULT_GARBAGE] = { "garbage", true },
	[FAULT_WRONG_TYPES] = { "wrong_types", true },
	[FAULT_HUGE] = { "huge", true },
	[FAULT_DRIP] = { "drip", true },
	[FAULT_ENTRY_ERROR] = { "entry_error", false },
};

const char *fault_kind_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

struct faults *faults_create(void)
{
	struct faults *faults = xcalloc(1, sizeof(*faults));

	list_init(&faults->rules);
	return faults;
}

void faults_clear(struct faults *faults)
{
	struct list *node, *next;

	list_each(node, next, &faults->rules)
		free(container_of(node, struct fault, peers));
	list_init(&faults->rules);
	faults->count = 0;
}

void faults_destroy(struct faults *faults)
{
	if (faults == NULL)
		return;
	faults_clear(faults);
	free(faults);
}

static bool fault_read_kind(struct fault *fault, const char *name, struct aws_error *error)
{
	for (unsigned kind = 0; name != NULL && kind < FAULT_KINDS; kind++) {
		if (strcmp(kinds[kind].name, name) == 0) {
			fault->kind = (enum fault_kind)kind;
			return true;
		}
	}
	aws_error_set(error, "InvalidFault", "unknown kind %s", name == NULL ? "(none)" : name);
	return false;
}

static bool fault_read(struct fault *fault, const json_t *description, struct aws_error *error)
{
	const char *kind = NULL, *action = "*", *match = "", *code = "", *message = "";
	json_int_t status = 0, ms = 0, bytes = 0;
	json_t *probability = json_object_get(description, "probability");

	fault->count = json_is_number(probability) ? -1 : 1;
	fault->probability = json_is_number(probability) ? json_number_value(probability) : 1;
	if (!member_string(description, "kind", &kind, error) ||
	    !fault_read_kind(fault, kind, error))
		return false;
	fault->effect = kinds[fault->kind].effect;
	if (!member_string(description, "action", &action, error) ||
	    !member_string(description, "match", &match, error) ||
	    !member_string(description, "code", &code, error) ||
	    !member_string(description, "message", &message, error) ||
	    !member_integer(description, "count", &fault->count, error) ||
	    !member_integer(description, "skip", &fault->skip, error) ||
	    !member_integer(description, "status", &status, error) ||
	    !member_integer(description, "ms", &ms, error) ||
	    !member_integer(description, "bytes", &bytes, error) ||
	    !member_bool(description, "effect", &fault->effect, error) ||
	    !member_bool(description, "sender_fault", &fault->sender_fault, error))
		return false;
	snprintf(fault->action, sizeof(fault->action), "%s", action);
	snprintf(fault->match, sizeof(fault->match), "%s", match);
	snprintf(fault->code, sizeof(fault->code), "%s", code);
	snprintf(fault->message, sizeof(fault->message), "%s", message);
	fault->status = (int)status;
	fault->ms = (unsigned)ms;
	fault->bytes = (size_t)bytes;
	if (fault->kind == FAULT_HUGE && bytes <= 0)
		fault->bytes = FAULT_DEFAULT_HUGE_BYTES;
	if (fault->kind == FAULT_DRIP && bytes <= 0)
		fault->bytes = 1;
	if (fault->kind == FAULT_DRIP && ms <= 0)
		fault->ms = 10;
	return true;
}

bool faults_add(struct faults *faults, const json_t *description, struct aws_error *error)
{
	struct fault *fault = xcalloc(1, sizeof(*fault));

	if (!fault_read(fault, description, error)) {
		free(fault);
		return false;
	}
	list_add_tail(&faults->rules, &fault->peers);
	faults->count++;
	return true;
}

json_t *faults_describe(const struct faults *faults)
{
	json_t *rules = json_array();

	for (struct list *node = faults->rules.next; node != &faults->rules; node = node->next) {
		const struct fault *fault = container_of(node, struct fault, peers);

		json_array_append_new(rules, json_pack("{s:s, s:s, s:I, s:f}", "action",
						       fault->action, "kind",
						       kinds[fault->kind].name, "count",
						       fault->count, "probability",
						       fault->probability));
	}
	return rules;
}

static bool fault_fires(struct fault *fault, struct dice *dice)
{
	if (fault->skip > 0) {
		fault->skip--;
		return false;
	}
	if (fault->count == 0 ||
	    (fault->probability < 1 && !dice_chance(dice, fault->probability)))
		return false;
	if (fault->count > 0)
		fault->count--;
	return true;
}

static bool fault_concerns(const struct fault *fault, const char *action, const char *body,
			   size_t body_bytes)
{
	if (strcmp(fault->action, "*") != 0 && strcmp(fault->action, action) != 0)
		return false;
	return fault->match[0] == '\0' ||
	       memmem(body, body_bytes, fault->match, strlen(fault->match)) != NULL;
}

static struct fault *faults_find(struct faults *faults, struct dice *dice, const char *action,
				 const char *body, size_t body_bytes, bool entries)
{
	struct list *node, *next;

	if (faults->count == 0)
		return NULL;
	list_each(node, next, &faults->rules) {
		struct fault *fault = container_of(node, struct fault, peers), *copy;

		if ((fault->kind == FAULT_ENTRY_ERROR) != entries ||
		    !fault_concerns(fault, action, body, body_bytes) ||
		    !fault_fires(fault, dice))
			continue;
		copy = xcalloc(1, sizeof(*copy));
		*copy = *fault;
		if (fault->count == 0) {
			list_remove(&fault->peers);
			faults->count--;
			free(fault);
		}
		return copy;
	}
	return NULL;
}

struct fault *faults_fire(struct faults *faults, struct dice *dice, const char *action,
			  const char *body, size_t body_bytes)
{
	return faults_find(faults, dice, action, body, body_bytes, false);
}

struct fault *faults_fire_entry(struct faults *faults, struct dice *dice, const char *action)
{
	return faults_find(faults, dice, action, "", 0, true);
}
