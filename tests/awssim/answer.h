/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - a call's result in its protocol's words, spoilt if a fault says so. */
#ifndef AWSSIM_ANSWER_H
#define AWSSIM_ANSWER_H

struct call;

/* Answers the call's exchange; the call is still the caller's. */
void call_answer(struct call *);

#endif
