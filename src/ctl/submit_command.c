/* SPDX-License-Identifier: Apache-2.0 */
/* submit_command.c - asks for one deployment, and with --wait shows it until its end and exits as it did.
 *
 * Into the store's own queue it is admitted here and now; into another queue it is sent, and is a job when
 * a worker has received it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/conf_job.h"
#include "ctl/hand.h"
#include "ctl/job_follow.h"
#include "ctl/job_print.h"
#include "ctl/store_access.h"
#include "job/job_message.h"

/* As a shell says of who was ended by a signal. */
enum { STATUS_SIGNALLED = 128 };

struct submit {
	struct ctl *ctl;
	struct asking asking;
	struct hand hand;
	const char *queue_name;
	const struct conf_queue *queue;
	bool wait;
	json_t *message;
	char *body;
	struct job *job;
	struct store_admission admission;
	bool accepted;                  /* whatever happens to us, it is not lost */
	struct job_follow *follow;
	ev_signal on_int, on_term;
	bool line_open;                 /* the log has not ended its last line */
	int status;
};

/* -- the message ------------------------------------------------------------------------------ */

static bool add_variable(json_t *message, const char *text)
{
	const char *equals = strchr(text, '=');
	json_t *environment = json_object_get(message, "environment");
	char *name;

	if (equals == NULL || equals == text)
		return false;
	if (environment == NULL) {
		environment = json_object();
		json_object_set_new(message, "environment", environment);
	}
	name = xstrndup(text, (size_t)(equals - text));
	json_object_set_new(environment, name, json_at_text(equals + 1));
	free(name);
	return true;
}

static bool take_option(struct submit *submit, int option, const char *value)
{
	static const struct { int option; const char *member; } members[] = {
		{ 'p', "project" }, { 'd', "deployer" }, { 'r', "ref" }, { 'c', "commit" }, { 'i', "id" }, { 'l', "delay" },
	};

	if (option == 'w')
		submit->wait = true;
	else if (option == 'q')
		submit->queue_name = value;
	else if (option == 'e')
		return add_variable(submit->message, value);
	else if (option == '?')
		return false;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (members[i].option == option)
			json_object_set_new(submit->message, members[i].member, json_at_text(value));
	}
	return true;
}

static bool parse(struct submit *submit, int argc, char **argv)
{
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (!take_option(submit, option, optarg))
			return false;
	}
	return optind == argc ? json_object_get(submit->message, "project") != NULL : optind + 1 == argc;
}

static bool read_all(FILE *file, struct buf *out)
{
	char block[65536];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), file)) > 0) {
		if (!buf_add(out, block, n))
			return false;
	}
	return ferror(file) == 0;
}

/* What the command line says wins over what the file says. */
static bool read_message(struct submit *submit, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct error err;
	struct buf text;
	json_t *doc;

	if (file == NULL) {
		fprintf(stderr, "gantryctl: %s: %s\n", path, strerror(errno));
		return false;
	}
	buf_init(&text, LIMIT_MESSAGE_BODY_BYTES);
	if (!read_all(file, &text)) {
		fprintf(stderr, "gantryctl: %s: cannot be read, or is above %d bytes\n", path, LIMIT_MESSAGE_BODY_BYTES);
		buf_finish(&text);
		return false;
	}
	if (file != stdin)
		fclose(file);
	doc = json_at_parse(buf_text(&text), text.size, &err);
	buf_finish(&text);
	if (!json_is_object(doc)) {
		fprintf(stderr, "gantryctl: %s: %s\n", path, doc == NULL ? err.text : "expected a JSON object");
		json_decref(doc);
		return false;
	}
	json_object_update(doc, submit->message);
	json_decref(submit->message);
	submit->message = doc;
	return true;
}

/* The named queue; else the API's; else the store's own, or the only one that there is. */
static const struct conf_queue *choose_queue(const struct conf *conf, const char *name)
{
	if (name == NULL && conf->api != NULL)
		name = conf->api->queue;
	if (name != NULL)
		return conf_find_queue(conf, name);
	for (size_t i = 0; i < conf->queue_count; i++) {
		if (conf->queues[i].type == CONF_QUEUE_STORE)
			return &conf->queues[i];
	}
	return conf->queue_count == 1 ? &conf->queues[0] : NULL;
}

static bool understand(struct submit *submit)
{
	const struct conf *conf = ctl_conf(submit->ctl);
	char id[RANDOM_ID_BYTES];
	struct error err;

	if (conf == NULL)
		return false;
	submit->queue = choose_queue(conf, submit->queue_name);
	if (submit->queue == NULL) {
		fprintf(stderr, "gantryctl: %s\n", submit->queue_name != NULL ? "no queue of that name" :
			"which queue? --queue NAME says it");
		return false;
	}
	if (conf_is_events_queue(conf, submit->queue->name)) {
		fprintf(stderr, "gantryctl: no jobs come from queue %s, which ecs.events names\n", submit->queue->name);
		return false;
	}
	random_id(id);
	if (json_object_get(submit->message, "id") == NULL)
		json_object_set_new(submit->message, "id", json_string(id));
	submit->body = json_at_dump(submit->message);
	submit->job = conf_job_parse(conf, submit->queue, NULL, submit->body, strlen(submit->body), &err);
	if (submit->job == NULL)
		fprintf(stderr, "gantryctl: %s\n", err.text);
	return submit->job != NULL;
}

/* -- its end ---------------------------------------------------------------------------------- */

static void say(const struct submit *submit, const char *state, const char *detail)
{
	json_t *doc;

	if (!submit->ctl->json) {
		printf("%s: %s%s%s\n", submit->job->id, state, detail != NULL && detail[0] != '\0' ? ": " : "",
			detail != NULL ? detail : "");
		return;
	}
	doc = json_pack("{s:s,s:o,s:o,s:o}", "event", "state", "id", json_at_text(submit->job->id), "state", json_at_text(state), "detail",
		json_at_text(detail));
	ctl_print_json_line(doc);
	json_decref(doc);
}

/* What a deployment writes need not end in a newline; our own lines begin on one. */
static void end_line(struct submit *submit)
{
	if (submit->line_open && !submit->ctl->json)
		putchar('\n');
	submit->line_open = false;
}

static void leave(struct submit *submit, int status)
{
	submit->status = status;
	ev_break(submit->asking.loop, EVBREAK_ALL);
}

static void on_state(void *arg, const struct job *job)
{
	struct submit *submit = arg;

	end_line(submit);
	if (!job_print_state(submit->ctl, job))
		leave(submit, CONTROL_FAILED);
}

static void on_log(void *arg, unsigned attempt, int64_t offset, const char *bytes, size_t size)
{
	struct submit *submit = arg;

	submit->line_open = bytes[size - 1] != '\n';
	if (!job_print_log(submit->ctl, attempt, offset, bytes, size))
		leave(submit, CONTROL_FAILED);
}

static void on_trouble(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "gantryctl: %s\n", text);
}

static void on_over(void *arg, const struct job *job, const struct error *err)
{
	struct submit *submit = arg;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s: %s\n", submit->job->id, err->text);
		leave(submit, CONTROL_FAILED);
		return;
	}
	on_state(submit, job);
	leave(submit, job_exit_status(job));
}

/* The job is not ours alone: it goes on without us. */
static void interrupt(struct submit *submit, int number)
{
	end_line(submit);
	fflush(stdout);
	fprintf(stderr, "gantryctl: %s goes on; \"gantryctl log -f %s\" follows it, \"gantryctl cancel %s\" ends it\n",
		submit->job->id, submit->job->id, submit->job->id);
	leave(submit, STATUS_SIGNALLED + number);
}

static void on_int(struct ev_loop *loop, ev_signal *signal, int revents)
{
	(void)loop, (void)revents;
	interrupt(container_of(signal, struct submit, on_int), SIGINT);
}

static void on_term(struct ev_loop *loop, ev_signal *signal, int revents)
{
	(void)loop, (void)revents;
	interrupt(container_of(signal, struct submit, on_term), SIGTERM);
}

/* Returns at the end of the job, or when it is interrupted. */
static void follow(struct submit *submit)
{
	static const struct job_follow_events events = {
		.state = on_state, .log = on_log, .trouble = on_trouble, .over = on_over,
	};
	struct job_follow_options options = { .awaited = true, .whole = true };
	struct log_source_env env = { .loop = submit->asking.loop, .log = &submit->asking.log, .conf = submit->ctl->conf };

	ev_signal_init(&submit->on_int, on_int, SIGINT);
	ev_signal_init(&submit->on_term, on_term, SIGTERM);
	ev_signal_start(env.loop, &submit->on_int);
	ev_signal_start(env.loop, &submit->on_term);
	submit->follow = job_follow_create(&env, submit->asking.store, submit->job->id, &options, &events, submit);
	ev_run(env.loop, 0);
	job_follow_destroy(submit->follow);
	ev_signal_stop(env.loop, &submit->on_int);
	ev_signal_stop(env.loop, &submit->on_term);
}

/* -- into the store --------------------------------------------------------------------------- */

static void on_admitted(void *arg, const struct error *err)
{
	struct submit *submit = arg;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s\n", err->text);
		ev_break(submit->asking.loop, EVBREAK_ALL);
	} else if (submit->admission.verdict == STORE_ADMITTED_REJECTED) {
		fprintf(stderr, "gantryctl: %s: %s\n", submit->job->id, submit->job->detail != NULL ? submit->job->detail : "rejected");
		leave(submit, submit->wait ? job_exit_status(submit->job) : CONTROL_FAILED);
	} else {
		if (submit->admission.verdict == STORE_ADMITTED_NEW)
			asking_hint(&submit->asking);
		if (!submit->wait)
			say(submit, job_state_name(submit->job->state), NULL);
		submit->accepted = true;
		leave(submit, CONTROL_DONE);
	}
}

static void admit(struct submit *submit)
{
	submit->admission = (struct store_admission){ .job = submit->job, .released = true };
	store_admit(submit->asking.store, &submit->admission, 1, on_admitted, submit);
	ev_run(submit->asking.loop, 0);
	free(submit->admission.owner);
}

/* -- into another queue ----------------------------------------------------------------------- */

static void drop(void *arg, struct queue_message **messages, size_t count)
{
	/* Never started, so it receives nothing. */
	(void)arg, (void)messages, (void)count;
}

static const struct queue_events no_events = { .received = drop };

static void on_sent(void *arg, size_t sent, const struct error *err)
{
	struct submit *submit = arg;

	(void)sent;
	submit->status = err == NULL ? CONTROL_DONE : CONTROL_FAILED;
	submit->accepted = err == NULL;
	if (err == NULL)
		say(submit, "sent", NULL);
	else
		fprintf(stderr, "gantryctl: queue %s: %s\n", submit->queue->name, err->text);
	ev_break(submit->hand.loop, EVBREAK_ALL);
}

static void send_on(struct submit *submit)
{
	struct queue_outgoing message = { .body = submit->body };

	if (hand_open(&submit->hand, submit->ctl, submit->queue->name, &no_events)) {
		/* A project is a group: its deployments stay in order. */
		if (queue_ordered(submit->hand.queue)) {
			message.group = submit->job->project;
			message.dedup = submit->job->id;
		}
		queue_send(submit->hand.queue, &message, 1, on_sent, submit);
		ev_run(submit->hand.loop, 0);
	}
	hand_close(&submit->hand);
}

int run_submit(struct ctl *ctl, int argc, char **argv)
{
	struct submit submit = { .ctl = ctl, .message = json_object(), .status = CONTROL_FAILED };

	if (!parse(&submit, argc, argv)) {
		submit.status = command_usage("submit");
	} else if ((optind == argc || read_message(&submit, argv[optind])) && understand(&submit)) {
		if (asking_open(&submit.asking, ctl)) {
			if (submit.queue->type == CONF_QUEUE_STORE)
				admit(&submit);
			else
				send_on(&submit);
			if (submit.accepted && submit.wait)
				follow(&submit);
		}
		asking_close(&submit.asking);
	}
	json_decref(submit.message);
	job_destroy(submit.job);
	free(submit.body);
	return submit.status;
}
