/* SPDX-License-Identifier: Apache-2.0 */
/* fake_aws.h - aws_call() for unit tests: records what is asked and answers from scripts.
 *
 * Linked instead of libaws.  Answers arrive in a later turn of the loop, as real ones do.  A call for
 * which nothing is scripted stays open until the test answers it. */
#ifndef UNIT_FAKE_AWS_H
#define UNIT_FAKE_AWS_H

#include "aws/aws.h"

void fake_aws_begin(struct ev_loop *loop);
/* Frees everything; open calls are forgotten.  Returns how many were open. */
size_t fake_aws_end(void);
struct aws *fake_aws(void);

/* Scripts: each is used once, in order, by calls of that action. */
void fake_aws_answer(const char *action, const char *json);
/* error_doc is the JSON of the error answer, or NULL. */
void fake_aws_fail(const char *action, enum error_kind kind, const char *code, const char *text, const char *error_doc);
/* Used when an action's script is empty; the result is a new reference. */
typedef json_t *fake_aws_fn(const json_t *input, void *arg);
void fake_aws_otherwise(const char *action, fake_aws_fn *fn, void *arg);
/* A fake_aws_fn: {"Successful": [...]} for every entry of a batch. */
json_t *fake_aws_all_succeed(const json_t *input, void *arg);

/* What was asked so far. */
size_t fake_aws_count(const char *action);
struct fake_call {
	json_t *input;
	char *region, *endpoint;
	unsigned timeout_ms, tries;
	bool long_poll, cancelled, answered;
};
/* The nth call of an action, from 0; fails the test when there is none. */
const struct fake_call *fake_aws_nth(const char *action, size_t n);
/* Calls that are neither answered nor cancelled. */
size_t fake_aws_open(const char *action);
/* Answers the oldest open call of the action. */
void fake_aws_reply(const char *action, const char *json);
void fake_aws_reply_error(const char *action, enum error_kind kind, const char *code, const char *text);

/* Runs the loop until nothing happens without time going on. */
void fake_aws_run(void);

#endif
