/* SPDX-License-Identifier: Apache-2.0 */
/* store_access.c - the store as gantryctl opens it, on a loop that runs until a question is answered: for
 * reading without disturbing those who write, or to change something. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/store_access.h"

#include "ctl/control_client.h"

enum { HINT_TIMEOUT_S = 5 };

static bool open_with(struct ctl *ctl, const struct store_options *options, struct store **store)
{
	const struct conf *conf = ctl_conf(ctl);
	struct error err;

	if (conf == NULL)
		return false;
	/* It lives in the memory of one worker: nothing of it is here. */
	if (strncmp(conf->store, "memory:", 7) == 0) {
		fprintf(stderr, "gantryctl: the store is \"memory:\", which only the worker itself can see\n");
		return false;
	}
	*store = store_open(conf->store, options, &err);
	if (*store == NULL)
		fprintf(stderr, "gantryctl: %s\n", err.text);
	return *store != NULL;
}

static bool open_on_loop(struct asking *asking, struct ctl *ctl, bool to_read)
{
	struct store_options options = { .log = &asking->log, .owner = to_read ? NULL : asking->by, .read_only = to_read };

	*asking = (struct asking){ .ctl = ctl, .status = CONTROL_FAILED };
	log_set_level(LOG_LEVEL_WARN);
	log_init(&asking->log, NULL, "gantryctl");
	snprintf(asking->by, sizeof(asking->by), "gantryctl of uid %u", (unsigned)geteuid());
	asking->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	options.loop = asking->loop;
	return open_with(ctl, &options, &asking->store);
}

bool asking_open(struct asking *asking, struct ctl *ctl)
{
	return open_on_loop(asking, ctl, false);
}

bool asking_open_to_read(struct asking *asking, struct ctl *ctl)
{
	return open_on_loop(asking, ctl, true);
}

void asking_wait(struct asking *asking)
{
	ev_run(asking->loop, 0);
}

void asking_end(struct asking *asking, const struct error *err)
{
	if (err != NULL)
		fprintf(stderr, "gantryctl: %s\n", err->text);
	asking->status = err != NULL ? CONTROL_FAILED : CONTROL_DONE;
	ev_break(asking->loop, EVBREAK_ALL);
}

void asking_end_missing(struct asking *asking)
{
	fprintf(stderr, "gantryctl: no such job\n");
	asking->status = CONTROL_FAILED;
	ev_break(asking->loop, EVBREAK_ALL);
}

void asking_close(struct asking *asking)
{
	store_close(asking->store);
	if (asking->loop != NULL)
		ev_loop_destroy(asking->loop);
}

void asking_hint(struct asking *asking)
{
	struct error why = { 0 };
	enum control_status status = control_ask(asking->ctl, "hint", HINT_TIMEOUT_S, NULL, NULL, &why);

	if (status == CONTROL_UNREACHABLE)
		fprintf(stderr, "gantryctl: gantryd is not running here; its workers see it when they run\n");
	else if (status != CONTROL_DONE)
		fprintf(stderr, "gantryctl: the workers were not told (%s); they see it within seconds\n", why.text);
}
