/* SPDX-License-Identifier: Apache-2.0 */
/* queue_fixture.h - an SQS queue over fake_aws.h, with a holder that writes down what it hears, and
 * hands on a clock that only moves when the test says so. */
#ifndef UNIT_QUEUE_FIXTURE_H
#define UNIT_QUEUE_FIXTURE_H

#include "../aws/fake_aws.h"
#include "../cmocka_all.h"
#include "queue/queue_sqs.h"

enum { FIXTURE_MESSAGES = 2048 };

struct fixture {
	struct ev_loop *loop;
	struct log log;
	struct conf_queue conf;
	struct queue_events events;
	struct queue *queue;
	struct queue_sqs *sqs;
	struct queue_message *held[FIXTURE_MESSAGES];   /* in order of receipt */
	size_t held_count;
	size_t renewed, lost, expiring, done, stopped;
	struct error lost_why, done_error;      /* the last ones; kind NONE: success */
	struct queue_message *lost_message, *expiring_message;
	bool settle_expiring;
	bool destroy_in_received, destroy_in_done;
};

/* Standard queue, visibility 100 s, wait 20 s, linger 1 s. */
void fixture_begin(struct fixture *fixture, const char *url);
void fixture_end(struct fixture *fixture);
/* Time goes on: every timer that is due by then has its say. */
void fixture_pass(struct fixture *fixture, double seconds);
/* Starts the queue with room for so many, and answers its first poll with n messages "m<first>"...,
 * receipts "r<first>"..., all of one group if given. */
void fixture_receive(struct fixture *fixture, unsigned first, unsigned n, const char *group);
/* The JSON of such an answer; the caller's to free. */
char *fixture_messages(unsigned first, unsigned n, const char *group);
/* queue_done_fns; arg is the fixture. */
void fixture_done(void *arg, const struct error *err);
void fixture_stopped(void *arg, const struct error *err);
/* The receipts of a batch call as "r1 r2 ", lent until the next call. */
const char *fixture_receipts(const struct fake_call *call);

#endif
