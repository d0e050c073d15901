/* SPDX-License-Identifier: Apache-2.0 */
/* conf_job.c - see conf_job.h. */
#include "conf/conf_job.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "job/job_message.h"
#include "job/job_message_celery.h"
#include "job/template.h"

static bool fill_lock(const struct conf *conf, struct job *job, struct error *err)
{
	const struct conf_deployer *deployer = conf_find_deployer(conf, job->deployer);
	struct template_values values = { .job = job };
	struct buf key;
	bool ok;

	if (deployer == NULL) {
		error_set(err, ERROR_INVALID, "deployer: expected the name of a configured deployer, found \"%s\"", job->deployer);
		return false;
	}
	buf_init(&key, LIMIT_JOB_LOCK_KEY_BYTES);
	if (template_wants_payload(deployer->lock.key))
		values.payload = job_message_payload(job);
	ok = template_expand(deployer->lock.key, &values, &key, err);
	json_decref((json_t *)values.payload);
	job->policy = deployer->lock.policy;
	if (ok)
		job->lock_key = job->policy == LOCK_PARALLEL ? xstrdup("") : buf_take(&key);
	buf_finish(&key);
	return ok;
}

struct job *conf_job_parse(const struct conf *conf, const struct conf_queue *queue, const char *message_id,
	const char *body, size_t body_bytes, struct error *err)
{
	struct job_message_source source = {
		.queue = queue->name,
		.message_id = message_id,
		.default_deployer = queue->default_deployer,
		.mapping = &queue->body,
	};
	char *inner = NULL;
	struct job *job;

	if (queue->unwrap == CONF_UNWRAP_SNS)
		inner = job_message_unwrap_sns(body, body_bytes, err);
	else if (queue->unwrap == CONF_UNWRAP_CELERY)
		inner = job_message_unwrap_celery(body, body_bytes, err);
	if (queue->unwrap != CONF_UNWRAP_NONE && inner == NULL)
		return NULL;
	job = job_message_parse(inner != NULL ? inner : body, inner != NULL ? strlen(inner) : body_bytes, &source, err);
	free(inner);
	if (job != NULL && !fill_lock(conf, job, err)) {
		job_destroy(job);
		return NULL;
	}
	return job;
}
