/* SPDX-License-Identifier: Apache-2.0 */
/* store_record.h - what the store knows beside a job, as people and programs outside see it: JSON objects.
 *
 * gantryctl and the HTTP API show the same members (job_record.h); each function gives a new reference. */
#ifndef STORE_STORE_RECORD_H
#define STORE_STORE_RECORD_H

#include <jansson.h>

#include "store/store.h"

json_t *store_lock_record(const struct store_lock *lock);
/* The job's record, and what it waits for. */
json_t *store_why_record(const struct store_why *why);
json_t *store_attempt_record(const struct store_attempt *attempt);
/* Without the payload. */
json_t *store_delivery_record(const struct store_delivery *delivery);
/* Arrays of these. */
json_t *store_attempt_records(const struct store_attempt *attempts, size_t count);
json_t *store_delivery_records(const struct store_delivery *deliveries, size_t count);

#endif
