/* SPDX-License-Identifier: Apache-2.0 */
/* job_record.h - a job as people and programs outside see it: one JSON object.
 *
 * gantryctl and the HTTP API show the same members; receipts and frozen requests are nobody's business
 * and are not among them. */
#ifndef JOB_JOB_RECORD_H
#define JOB_JOB_RECORD_H

#include <jansson.h>

#include "job/job.h"

/* A new reference.  Times are ISO 8601 in UTC, what is not known is null. */
json_t *job_record(const struct job *job);
/* The same without the body, which may be as large as a message: for lists and for what is said often. */
json_t *job_record_brief(const struct job *job);
/* Sets key to a steady time as ISO 8601 by the wall clock, or null for 0. */
void job_record_stamp(json_t *object, const char *key, int64_t steady_ms);

#endif
