/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - texts with "{{ project }}" in them.
 *
 * Known names: id project deployer queue commit ref stage attempt fence body payload.<path>.
 * An unknown name is found when the configuration is checked; a known one that the job does not
 * have is the empty text.  Values are put in as they are and never read again as a template. */
#ifndef JOB_TEMPLATE_H
#define JOB_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "job/job.h"

/* What the names stand for; all lent. */
struct template_values {
	const struct job *job;
	const json_t *payload;          /* the parsed message; may be NULL */
	const char *body;               /* the raw message; NULL: the job's */
};

/* Whether the text may ask for something of the parsed message; false: values.payload need not be there. */
bool template_wants_payload(const char *text);
/* Checks form and names; err says which name is unknown and which are known. */
bool template_check(const char *text, struct error *err);
/* Appends the expansion to out; fails when out's limit is passed. */
bool template_expand(const char *text, const struct template_values *values, struct buf *out, struct error *err);

/* The same over names of the caller's own: names is NULL-terminated. */
bool template_check_names(const char *text, const char *const *names, struct error *err);
/* put appends what a name stands for; false when it knows none such. */
typedef bool template_put_fn(void *arg, const char *name, struct buf *out);
bool template_expand_names(const char *text, template_put_fn *put, void *arg, struct buf *out, struct error *err);

#endif
