/* SPDX-License-Identifier: Apache-2.0 */
/* store_redis_words.c - calls as the words that run.lua reads.
 *
 * A call is its kind, the number of its records, and the records, each the number of its fields and the fields
 * as names and values.  Texts are lent from the calls, numbers live in one buffer; what is NULL is left out. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store_redis.h"

enum { LIMIT_NUMBERS_BYTES = 256 << 20 };

/* A word is a lent text, or a number that begins at from. */
struct word {
	const char *text;
	size_t from;
};

struct builder {
	struct word *words;
	size_t count, room;
	struct buf numbers;             /* each terminated */
	size_t fields_at, fields;       /* of the record that is being written */
};

static struct word *add(struct builder *builder, const char *text)
{
	if (builder->count == builder->room) {
		builder->room = builder->room > 0 ? builder->room * 2 : 64;
		builder->words = xreallocarray(builder->words, builder->room, sizeof(*builder->words));
	}
	builder->words[builder->count] = (struct word){ .text = text };
	return &builder->words[builder->count++];
}

static void set_number(struct builder *builder, size_t at, int64_t number)
{
	builder->words[at].from = builder->numbers.size;
	if (!buf_printf(&builder->numbers, "%" PRId64, number) || !buf_add_char(&builder->numbers, '\0'))
		fatal("store: a batch holds too many numbers");
}

static void add_number(struct builder *builder, int64_t number)
{
	add(builder, NULL);
	set_number(builder, builder->count - 1, number);
}

static void begin_call(struct builder *builder, const char *kind, size_t given)
{
	add(builder, kind);
	add_number(builder, (int64_t)given + 1);
}

static void begin_record(struct builder *builder)
{
	builder->fields_at = builder->count;
	builder->fields = 0;
	add(builder, NULL);
}

static void end_record(struct builder *builder)
{
	set_number(builder, builder->fields_at, (int64_t)builder->fields);
}

static void text(struct builder *builder, const char *name, const char *value)
{
	if (value == NULL)
		return;
	builder->fields++;
	add(builder, name);
	add(builder, value);
}

static void number(struct builder *builder, const char *name, int64_t value)
{
	builder->fields++;
	add(builder, name);
	add_number(builder, value);
}

static void real(struct builder *builder, const char *name, double value)
{
	builder->fields++;
	add(builder, name);
	add(builder, NULL)->from = builder->numbers.size;
	if (!buf_printf(&builder->numbers, "%.17g", value) || !buf_add_char(&builder->numbers, '\0'))
		fatal("store: a batch holds too many numbers");
}

/* -- records ------------------------------------------------------------------------------------- */

static void add_message(struct builder *builder, const struct job_message_ref *message)
{
	text(builder, "receipt", message->receipt);
	number(builder, "hidden_until_ms", message->hidden_until_ms);
	number(builder, "received_ms", message->received_ms);
	number(builder, "deliveries", message->deliveries);
	number(builder, "settled", message->settled);
}

/* What came with it. */
static void add_job(struct builder *builder, const struct job *job)
{
	text(builder, "id", job->id);
	text(builder, "project", job->project);
	text(builder, "deployer", job->deployer);
	text(builder, "queue", job->queue);
	text(builder, "lock_key", job->lock_key);
	text(builder, "policy", lock_policy_name(job->policy));
	number(builder, "priority", job->priority);
	number(builder, "not_before_ms", job->not_before_ms);
	text(builder, "commit", job->commit);
	text(builder, "ref", job->ref);
	text(builder, "stage", job->stage);
	text(builder, "body", job->body);
	text(builder, "reason", job->reason);
	text(builder, "detail", job->detail);
	number(builder, "exit_code", job->exit_code);
	text(builder, "message_id", job->message.id);
	text(builder, "message_group", job->message.group);
	add_message(builder, &job->message);
}

static void add_admission(struct builder *builder, const struct store_admission *admission)
{
	begin_record(builder);
	add_job(builder, admission->job);
	number(builder, "released", admission->released);
	end_record(builder);
}

/* The whole record of a job that another store has kept. */
static void add_whole(struct builder *builder, const struct job *job)
{
	add_job(builder, job);
	text(builder, "state", job_state_name(job->state));
	number(builder, "accepted_ms", job->accepted_ms);
	number(builder, "finished_ms", job->finished_ms);
	number(builder, "failures", job->failures);
	number(builder, "losses", job->losses);
	text(builder, "cancelled_by", job->cancelled_by);
	text(builder, "cancel_reason", job->cancel_reason);
	number(builder, "fence", job->fence);
	number(builder, "grant", job->grant);
	number(builder, "attempt", job->attempt.number);
	number(builder, "step", job->attempt.step);
	text(builder, "token", job->attempt.token);
	number(builder, "timeout_ms", job->attempt.timeout_ms);
}

static void add_given(struct builder *builder, const struct store_call *call, const struct job *job)
{
	const struct job_attempt *attempt = &job->attempt;

	begin_record(builder);
	if (call->kind == CALL_IMPORT) {
		add_whole(builder, job);
		end_record(builder);
		return;
	}
	text(builder, "id", job->id);
	number(builder, "fence", job->fence);
	if (call->kind == CALL_NOTE) {
		add_message(builder, &job->message);
	} else if (call->kind != CALL_FINISH) {
		number(builder, "not_before_ms", job->not_before_ms);
		number(builder, "failures", job->failures);
		number(builder, "losses", job->losses);
		number(builder, "exit_code", job->exit_code);
		text(builder, "reason", job->reason);
		text(builder, "waits_for", job->waits_for);
		number(builder, "next_try_ms", job->next_try_ms);
		number(builder, "attempt", attempt->number);
		number(builder, "step", attempt->step);
		text(builder, "token", attempt->token);
		text(builder, "request", attempt->request);
		text(builder, "handle", attempt->handle);
		number(builder, "intended_ms", attempt->intended_ms);
		number(builder, "started_ms", attempt->started_ms);
		number(builder, "timeout_ms", attempt->timeout_ms);
		number(builder, "bound", attempt->bound);
	}
	end_record(builder);
}

static void add_past(struct builder *builder, const struct store_attempt *past)
{
	begin_record(builder);
	number(builder, "attempt", past->number);
	number(builder, "step", past->step);
	text(builder, "handle", past->handle);
	number(builder, "intended_ms", past->intended_ms);
	number(builder, "started_ms", past->started_ms);
	number(builder, "ended_ms", past->ended_ms);
	number(builder, "exit_code", past->exit_code);
	text(builder, "reason", past->reason);
	end_record(builder);
}

static void add_delivery(struct builder *builder, const struct store_delivery *delivery)
{
	begin_record(builder);
	number(builder, "id", delivery->id);
	text(builder, "sink", delivery->sink);
	text(builder, "event", delivery->event);
	text(builder, "job_id", delivery->job_id);
	text(builder, "payload", delivery->payload);
	number(builder, "created_ms", delivery->created_ms);
	number(builder, "next_try_ms", delivery->next_try_ms);
	number(builder, "tries", delivery->tries);
	text(builder, "error", delivery->error);
	number(builder, "dead", delivery->dead);
	number(builder, "kept", delivery->kept);
	end_record(builder);
}

static void add_states(struct builder *builder)
{
	for (int i = 0; i < JOB_STATES; i++) {
		begin_record(builder);
		text(builder, "state", job_state_name((enum job_state)i));
		end_record(builder);
	}
}

/* -- calls --------------------------------------------------------------------------------------- */

static void add_rate(struct builder *builder, const struct store_rate_ask *ask)
{
	text(builder, "bucket", ask->bucket);
	real(builder, "initial_per_s", ask->initial_per_s);
	real(builder, "max_per_s", ask->max_per_s);
	real(builder, "begin_per_s", ask->begin_per_s);
	real(builder, "burst", ask->burst);
	number(builder, "want", ask->want);
	number(builder, "throttles", ask->throttles);
}

static void add_filters(struct builder *builder, const struct store_call *call)
{
	const struct store_filter *filter = &call->filter;

	if (call->kind == CALL_LIST) {
		text(builder, "project", filter->project);
		text(builder, "deployer", filter->deployer);
		if (filter->state >= 0)
			text(builder, "state", job_state_name((enum job_state)filter->state));
		number(builder, "before_seq", filter->before_seq);
		number(builder, "max", (int64_t)filter->max);
	} else {
		text(builder, "job_id", call->delivery_filter.job_id);
		number(builder, "open_only", call->delivery_filter.open_only);
		number(builder, "after_id", call->delivery_filter.after_id);
		number(builder, "max", (int64_t)call->delivery_filter.max);
	}
}

/* Not among what is given with the call, which are deliveries. */
static void add_speaker(struct builder *builder, const struct store_call *call)
{
	const struct job *speaker = call->given_count > 0 ? call->given[0] : NULL;

	if (speaker == NULL)
		return;
	text(builder, "id", speaker->id);
	number(builder, "fence", speaker->fence);
	text(builder, "state", job_state_name(speaker->state));
}

/* What is given besides lists. */
static void add_own(struct builder *builder, const struct store_redis *redis, const struct store_call *call)
{
	begin_record(builder);
	switch (call->kind) {
	case CALL_FINISH:
		text(builder, "state", job_state_name(call->given[0]->state));
		text(builder, "reason", call->given[0]->reason);
		text(builder, "detail", call->given[0]->detail);
		number(builder, "exit_code", call->given[0]->exit_code);
		break;
	case CALL_TAKE_RATE:
		add_rate(builder, &call->rate_ask);
		break;
	case CALL_SAY:
		text(builder, "dedup_key", call->dedup_key);
		add_speaker(builder, call);
		break;
	case CALL_COUNT:
		text(builder, "totals", call->wants_totals ? "1" : NULL);
		break;
	case CALL_LIST:
	case CALL_DELIVERIES:
		add_filters(builder, call);
		break;
	default:
		text(builder, "owner", call->owner);
		text(builder, "name", call->name);
		text(builder, "by", call->by);
		number(builder, "max", (int64_t)call->max);
		number(builder, "older_than_ms", call->older_than_ms);
		number(builder, "delivery_id", call->delivery_id);
		if (call->kind == CALL_PRUNE) {
			number(builder, "pruned_ms", redis->store.pruned_ms);
			number(builder, "pruned_seq", redis->store.pruned_seq);
		}
		break;
	}
	end_record(builder);
}

static void add_call(struct builder *builder, const struct store_redis *redis, const struct store_call *call)
{
	size_t states = call->kind == CALL_COUNT ? JOB_STATES : 0;
	size_t given = call->kind == CALL_SAY ? 0 : call->given_count;

	begin_call(builder, store_call_name(call), call->batch_count + given + call->past_count + call->said_count + states);
	add_own(builder, redis, call);
	for (size_t i = 0; i < call->batch_count; i++)
		add_admission(builder, &call->batch[i]);
	for (size_t i = 0; i < given; i++)
		add_given(builder, call, call->given[i]);
	for (size_t i = 0; i < call->past_count; i++)
		add_past(builder, &call->past[i]);
	for (size_t i = 0; i < call->said_count; i++)
		add_delivery(builder, &call->said[i]);
	if (states > 0)
		add_states(builder);
}

/* A sender's own steady time goes along, without what a test added to the clocks, and that apart. */
static void add_head(struct builder *builder, const struct store_redis *redis, uint64_t count)
{
	const struct store *store = &redis->store;
	int64_t lease_shift_ms, shift_ms;

	clock_shifted(&lease_shift_ms, &shift_ms);
	add(builder, redis->instance);
	add_number(builder, (int64_t)count);
	add(builder, store->owner != NULL ? store->owner : "");
	add_number(builder, store->lease_ms);
	add(builder, store->registered ? "1" : "0");
	if (redis->clocked)
		add_number(builder, store_redis_boot_ms() + redis->offset_ms);
	else
		add(builder, "");
	add_number(builder, lease_shift_ms);
	add_number(builder, shift_ms);
	add_number(builder, store->lease_ms > 0 ? store->lease_ms / 3 : STORE_REDIS_GAP_MS);
	add_number(builder, STORE_REDIS_SCHEMA);
	add(builder, store->place);
}

void store_redis_words_make(struct store_redis_words *words, const struct store_redis *redis, uint64_t count,
	const struct list *calls)
{
	struct builder builder = { 0 };
	const struct store_call *call;
	char *numbers;

	buf_init(&builder.numbers, LIMIT_NUMBERS_BYTES);
	add_head(&builder, redis, count);
	list_each(call, calls, link)
		add_call(&builder, redis, call);
	/* Kept behind the pointers, so that all goes at once. */
	words->count = builder.count;
	words->lengths = xcalloc(builder.count, sizeof(*words->lengths));
	words->texts = xcalloc(1, builder.count * sizeof(*words->texts) + builder.numbers.size);
	numbers = (char *)(words->texts + builder.count);
	memcpy(numbers, builder.numbers.bytes, builder.numbers.size);
	for (size_t i = 0; i < builder.count; i++) {
		words->texts[i] = builder.words[i].text != NULL ? builder.words[i].text : numbers + builder.words[i].from;
		words->lengths[i] = strlen(words->texts[i]);
	}
	free(builder.words);
	buf_finish(&builder.numbers);
}

void store_redis_words_finish(struct store_redis_words *words)
{
	free(words->texts);
	free(words->lengths);
	*words = (struct store_redis_words){ 0 };
}

static size_t bytes(const char *value)
{
	return value != NULL ? strlen(value) : 0;
}

size_t store_redis_call_bytes(const struct store_call *call)
{
	size_t size = 256;

	for (size_t i = 0; i < call->batch_count; i++)
		size += 1024 + bytes(call->batch[i].job->body);
	for (size_t i = 0; i < call->given_count; i++)
		size += 512 + bytes(call->given[i]->attempt.request) + bytes(call->given[i]->body);
	for (size_t i = 0; i < call->said_count; i++)
		size += 512 + bytes(call->said[i].payload);
	return size;
}
