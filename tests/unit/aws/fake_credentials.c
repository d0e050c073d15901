/* SPDX-License-Identifier: Apache-2.0 */
/* fake_credentials.c - see fake_credentials.h. */
#include "fake_credentials.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials_impl.h"
#include "base/list.h"
#include "base/mem.h"

struct fake_credentials fake_credentials;

struct asker {
	struct list link;
	struct credentials_source *source;
	ev_timer soon;
	credentials_fn *done;
	void *arg;
};

struct credentials_source {
	struct ev_loop *loop;
	struct credentials *now;        /* NULL: none */
	struct list askers;
};

struct credentials_source *credentials_create(const struct credentials_env *env, struct error *err)
{
	struct credentials_source *source = xnew(struct credentials_source);

	(void)err;
	source->loop = env->loop;
	list_init(&source->askers);
	return source;
}

static void asker_destroy(struct asker *asker)
{
	ev_timer_stop(asker->source->loop, &asker->soon);
	list_remove(&asker->link);
	free(asker);
}

void credentials_destroy(struct credentials_source *source)
{
	struct asker *asker, *next;

	if (source == NULL)
		return;
	list_each_safe(asker, next, &source->askers, link)
		asker_destroy(asker);
	credentials_free(source->now);
	free(source);
}

static const struct credentials *present(struct credentials_source *source)
{
	credentials_free(source->now);
	source->now = NULL;
	if (fake_credentials.access_key != NULL)
		source->now = credentials_new(fake_credentials.access_key, "secret", fake_credentials.session_token, 0);
	return source->now;
}

const struct credentials *credentials_now(struct credentials_source *source)
{
	return fake_credentials.late ? NULL : present(source);
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct asker *asker = container_of(timer, struct asker, soon);
	struct credentials_source *source = asker->source;
	credentials_fn *done = asker->done;
	void *arg = asker->arg;

	(void)loop;
	(void)revents;
	asker_destroy(asker);
	fake_credentials.asked++;
	fake_credentials.late = false;
	if (fake_credentials.refuse.kind != ERROR_NONE)
		done(arg, NULL, &fake_credentials.refuse);
	else
		done(arg, present(source), NULL);
}

void credentials_get(struct credentials_source *source, credentials_fn *done, void *arg)
{
	struct asker *asker = xnew(struct asker);

	asker->source = source;
	asker->done = done;
	asker->arg = arg;
	list_append(&source->askers, &asker->link);
	ev_timer_init(&asker->soon, on_soon, 0., 0.);
	ev_timer_start(source->loop, &asker->soon);
}

void credentials_reject(struct credentials_source *source, const char *access_key)
{
	(void)source;
	fake_credentials.rejected++;
	if (fake_credentials.next_access_key != NULL && strcmp(access_key, fake_credentials.access_key) == 0)
		fake_credentials.access_key = fake_credentials.next_access_key;
}

void credentials_cancel(struct credentials_source *source, void *arg)
{
	struct asker *asker, *next;

	list_each_safe(asker, next, &source->askers, link)
		if (asker->arg == arg)
			asker_destroy(asker);
}
