/* SPDX-License-Identifier: Apache-2.0 */
/* job_message_check.h - types and limits of a job message's members (gantry(7)). */
#ifndef JOB_JOB_MESSAGE_CHECK_H
#define JOB_JOB_MESSAGE_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* False with ERROR_INVALID and "member: expected X, found Y" for the first member that is wrong.
 * Members that it does not know are let through. */
bool job_message_check(const json_t *message, struct error *err);
/* The value of delay in milliseconds: a duration text, or a number of seconds. */
bool job_message_delay_ms(const json_t *delay, int64_t *ms);
/* The alias of a member, or the member of an alias; NULL when it has none. */
const char *job_message_other_name(const char *name);
/* Whether id may name a job: 1 to 128 printable ASCII characters, no space. */
bool job_message_id_is_sound(const char *id);

#endif
