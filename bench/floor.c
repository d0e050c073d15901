/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c - what launching jobs must cost at least.
 *
 * Takes messages off a queue, makes one RunTask of each and deletes them ten at a time: the calls of a worker,
 * of the same sizes, by bare_call.h.  There is no store, no lock, no watch; answers are searched for the one or
 * two texts that the next call needs.  So a crash loses or doubles jobs.  What it takes is the floor that a
 * worker is compared with; its path from message to RunTask is the bare round trip.
 *
 *      floor --endpoint URL --queue-url URL --count N [--in-flight N] [--receivers N] [--wait S] [--describe]
 *            [--new-handles]
 *
 * Ends after N jobs, and prints seconds, CPU seconds and calls as JSON. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bare_call.h"
#include "base/log.h"
#include "base/mem.h"

#define ECS "AmazonEC2ContainerServiceV20141113"

enum {
	BATCH = 10,                     /* messages a call, as SQS has it */
	TASKS = 100,                    /* a DescribeTasks call, as ECS has it */
	DELETERS = 4,                   /* calls at once, as below */
	DESCRIBERS = 2,
	LIMIT_CALLERS = 512,
	LIMIT_ID_BYTES = 64,
	LIMIT_ARN_BYTES = 256,
	LIMIT_RECEIPT_BYTES = 1024,
	LIMIT_BODY_BYTES = 64 << 10,
};

struct message {
	struct message *next;
	char id[LIMIT_ID_BYTES];
	char receipt[LIMIT_RECEIPT_BYTES];
};

/* First in, first out. */
struct line {
	struct message *first, **last;
	size_t count;
};

/* One of several that make the same call beside each other. */
struct caller {
	struct floor *floor;
	struct bare_call *call;
	struct message *message;        /* of a launch */
	size_t asked;                   /* entries of the call under way */
	char *body;
};

struct floor {
	struct bare *bare;
	const char *queue_url;
	size_t wanted, in_flight, receivers, wait_s;
	bool describe;
	struct caller receive[LIMIT_CALLERS], launch[LIMIT_CALLERS], discard[DELETERS], look[DESCRIBERS];
	struct line received, launched;
	char (*arns)[LIMIT_ARN_BYTES];  /* of tasks to be described */
	size_t arn_count;
	size_t taken, asked;            /* messages: received; asked for and not here yet */
	size_t started, deleted;
	unsigned long receives, deletes, looks;
};

static void pump(struct floor *floor);

static void line_add(struct line *line, struct message *message)
{
	message->next = NULL;
	if (line->first == NULL)
		line->last = &line->first;
	*line->last = message;
	line->last = &message->next;
	line->count++;
}

static struct message *line_take(struct line *line)
{
	struct message *message = line->first;

	line->first = message->next;
	line->count--;
	return message;
}

/* Copies the text that follows name up to its closing quote; where it ends, or NULL when there is no more. */
static const char *text_after(const char *from, const char *name, char *out, size_t room)
{
	const char *begin = strstr(from, name), *end;

	if (begin == NULL)
		return NULL;
	begin += strlen(name);
	end = strchr(begin, '"');
	if (end == NULL || (size_t)(end - begin) >= room)
		fatal("%s is too long", name);
	memcpy(out, begin, (size_t)(end - begin));
	out[end - begin] = '\0';
	return end;
}

/* Receiving */

static void on_received(void *arg, struct bare_call *call, const char *body)
{
	struct caller *caller = arg;
	struct floor *floor = caller->floor;
	struct message *message = xnew(struct message);

	(void)call;
	floor->receives++;
	floor->asked -= caller->asked;
	/* A quote within a message's own text has a backslash before it, so a name is never found there. */
	while ((body = text_after(body, "\"MessageId\":\"", message->id, LIMIT_ID_BYTES)) != NULL
	       && (body = text_after(body, "\"ReceiptHandle\":\"", message->receipt, LIMIT_RECEIPT_BYTES)) != NULL) {
		line_add(&floor->received, message);
		floor->taken++;
		message = xnew(struct message);
	}
	free(message);
	pump(floor);
}

static void start_receive(struct floor *floor, struct caller *caller)
{
	size_t left = floor->wanted - floor->taken - floor->asked;

	caller->asked = left < BATCH ? left : BATCH;
	floor->asked += caller->asked;
	snprintf(caller->body, LIMIT_BODY_BYTES, "{\"QueueUrl\":\"%s\",\"MaxNumberOfMessages\":%zu,"
		"\"WaitTimeSeconds\":%zu,\"VisibilityTimeout\":120,\"MessageSystemAttributeNames\":[\"All\"],"
		"\"AttributeNames\":[\"All\"]}",
		floor->queue_url, caller->asked, floor->wait_s);
	bare_call_start(caller->call, caller->body);
}

/* Launching */

static void on_launched(void *arg, struct bare_call *call, const char *body)
{
	struct caller *caller = arg;
	struct floor *floor = caller->floor;
	char arn[LIMIT_ARN_BYTES];

	(void)call;
	if (text_after(body, "\"taskArn\":\"", arn, sizeof(arn)) == NULL)
		fatal("RunTask started nothing: %s", body);
	if (floor->describe)
		memcpy(floor->arns[floor->arn_count++], arn, sizeof(arn));
	floor->started++;
	line_add(&floor->launched, caller->message);
	pump(floor);
}

/* All parameters that a worker gives, so that signing and sending are of the same size; the id stands in for
 * digest and project. */
static void start_launch(struct floor *floor, struct caller *caller)
{
	const char *id;

	caller->message = line_take(&floor->received);
	id = caller->message->id;
	snprintf(caller->body, LIMIT_BODY_BYTES, "{\"cluster\":\"prod\",\"taskDefinition\":\"deployer:1\",\"count\":1,"
		"\"launchType\":\"FARGATE\",\"networkConfiguration\":{\"awsvpcConfiguration\":{"
		"\"subnets\":[\"subnet-1\"],\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"DISABLED\"}},"
		"\"overrides\":{\"containerOverrides\":[{\"name\":\"app\",\"environment\":["
		"{\"name\":\"PROJECT\",\"value\":\"p0\"},{\"name\":\"GANTRY_JOB\",\"value\":\"deploys:%s\"},"
		"{\"name\":\"GANTRY_ATTEMPT\",\"value\":\"1\"},{\"name\":\"GANTRY_PROJECT\",\"value\":\"p0\"},"
		"{\"name\":\"GANTRY_FENCE\",\"value\":\"1\"}]}]},"
		"\"startedBy\":\"gantry/%.28s\",\"enableECSManagedTags\":true,\"tags\":[{\"key\":\"gantry:job\","
		"\"value\":\"deploys:%s\"},{\"key\":\"gantry:project\",\"value\":\"p0\"}],"
		"\"clientToken\":\"%s%.28s\"}",
		id, id, id, id, id);
	bare_call_start(caller->call, caller->body);
}

/* Deleting and looking */

static void on_deleted(void *arg, struct bare_call *call, const char *body)
{
	struct caller *caller = arg;
	struct floor *floor = caller->floor;

	(void)call;
	if (strstr(body, "\"Failed\":[{") != NULL)
		fatal("a message was not deleted: %s", body);
	floor->deletes++;
	floor->deleted += caller->asked;
	pump(floor);
}

static void start_delete(struct floor *floor, struct caller *caller)
{
	size_t size = (size_t)snprintf(caller->body, LIMIT_BODY_BYTES, "{\"QueueUrl\":\"%s\",\"Entries\":[",
		floor->queue_url);

	for (caller->asked = 0; caller->asked < BATCH && floor->launched.count > 0; caller->asked++) {
		struct message *message = line_take(&floor->launched);

		size += (size_t)snprintf(caller->body + size, LIMIT_BODY_BYTES - size,
			"%s{\"Id\":\"%zu\",\"ReceiptHandle\":\"%s\"}", caller->asked > 0 ? "," : "", caller->asked,
			message->receipt);
		free(message);
	}
	snprintf(caller->body + size, LIMIT_BODY_BYTES - size, "]}");
	bare_call_start(caller->call, caller->body);
}

static void on_looked(void *arg, struct bare_call *call, const char *body)
{
	struct caller *caller = arg;

	(void)call;
	(void)body;
	caller->floor->looks++;
	pump(caller->floor);
}

static void start_look(struct floor *floor, struct caller *caller)
{
	size_t count = floor->arn_count < TASKS ? floor->arn_count : TASKS;
	size_t size = (size_t)snprintf(caller->body, LIMIT_BODY_BYTES, "{\"cluster\":\"prod\",\"tasks\":[");

	for (size_t i = 0; i < count; i++)
		size += (size_t)snprintf(caller->body + size, LIMIT_BODY_BYTES - size, "%s\"%s\"", i > 0 ? "," : "",
			floor->arns[--floor->arn_count]);
	snprintf(caller->body + size, LIMIT_BODY_BYTES - size, "]}");
	bare_call_start(caller->call, caller->body);
}

/* What is to be done next */

static struct caller *idle(struct caller *callers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!bare_call_busy(callers[i].call))
			return &callers[i];
	return NULL;
}

static bool any_busy(const struct caller *callers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bare_call_busy(callers[i].call))
			return true;
	return false;
}

static void pump(struct floor *floor)
{
	struct caller *caller;
	bool last = floor->started == floor->wanted;

	while (floor->received.count > 0 && (caller = idle(floor->launch, floor->in_flight)) != NULL)
		start_launch(floor, caller);
	while (floor->launched.count >= (last ? 1 : BATCH) && (caller = idle(floor->discard, DELETERS)) != NULL)
		start_delete(floor, caller);
	while (floor->arn_count >= (last ? 1 : TASKS) && (caller = idle(floor->look, DESCRIBERS)) != NULL)
		start_look(floor, caller);
	while (floor->taken + floor->asked < floor->wanted && floor->received.count < floor->in_flight
	       && (caller = idle(floor->receive, floor->receivers)) != NULL)
		start_receive(floor, caller);
	if (floor->deleted == floor->wanted && floor->arn_count == 0 && !any_busy(floor->look, DESCRIBERS))
		bare_stop(floor->bare);
}

/* The program */

static void make_callers(struct floor *floor, struct caller *callers, size_t count, const char *service,
	const char *target, bare_done_fn *done)
{
	for (size_t i = 0; i < count; i++) {
		callers[i].floor = floor;
		callers[i].body = xcalloc(1, LIMIT_BODY_BYTES);
		callers[i].call = bare_call_create(floor->bare, service, target, done, &callers[i]);
	}
}

static void end_callers(struct caller *callers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bare_call_destroy(callers[i].call);
		free(callers[i].body);
	}
}

static double seconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void drain(struct floor *floor)
{
	double began_s = seconds(CLOCK_MONOTONIC), cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct rusage usage;

	pump(floor);
	bare_run(floor->bare);
	cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_s;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"jobs\": %zu, \"seconds\": %.6f, \"cpu_s\": %.6f, \"rss_kib\": %ld, \"calls\": {"
		"\"ReceiveMessage\": %lu, \"RunTask\": %zu, \"DeleteMessageBatch\": %lu, \"DescribeTasks\": %lu}}\n",
		floor->deleted, seconds(CLOCK_MONOTONIC) - began_s, cpu_s, usage.ru_maxrss, floor->receives,
		floor->started, floor->deletes, floor->looks);
}

static size_t number(const char *text, size_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value > most)
		fatal("\"%s\" is not a number up to %zu", text, most);
	return value;
}

static void read_options(struct floor *floor, struct bare_options *bare, int argc, char **argv)
{
	static const struct option options[] = {
		{ "endpoint", required_argument, NULL, 'e' }, { "queue-url", required_argument, NULL, 'q' },
		{ "count", required_argument, NULL, 'n' }, { "in-flight", required_argument, NULL, 'f' },
		{ "receivers", required_argument, NULL, 'r' }, { "wait", required_argument, NULL, 'w' },
		{ "describe", no_argument, NULL, 'd' }, { "new-handles", no_argument, NULL, 'h' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'e': bare->endpoint = optarg; break;
		case 'q': floor->queue_url = optarg; break;
		case 'n': floor->wanted = number(optarg, 100000000); break;
		case 'f': floor->in_flight = number(optarg, LIMIT_CALLERS); break;
		case 'r': floor->receivers = number(optarg, LIMIT_CALLERS); break;
		case 'w': floor->wait_s = number(optarg, 20); break;
		case 'd': floor->describe = true; break;
		case 'h': bare->new_handles = true; break;
		default: exit(2);
		}
	}
	if (optind < argc || bare->endpoint == NULL || floor->queue_url == NULL || floor->wanted == 0
	    || floor->in_flight == 0 || floor->receivers == 0)
		fatal("usage: floor --endpoint URL --queue-url URL --count N [--in-flight N] [--receivers N] "
			"[--wait S] [--describe] [--new-handles]");
}

int main(int argc, char **argv)
{
	struct bare_options bare = {
		.region = getenv("AWS_REGION"),
		.access_key = getenv("AWS_ACCESS_KEY_ID"),
		.secret_key = getenv("AWS_SECRET_ACCESS_KEY"),
	};
	struct floor *floor = xnew(struct floor);

	log_open_fd(2, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	floor->in_flight = 32;
	floor->receivers = 4;
	floor->wait_s = 1;
	read_options(floor, &bare, argc, argv);
	if (bare.region == NULL || bare.access_key == NULL || bare.secret_key == NULL)
		fatal("AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY have to be set");
	floor->arns = xcalloc(floor->describe ? floor->wanted : 1, LIMIT_ARN_BYTES);
	floor->bare = bare_create(&bare);
	make_callers(floor, floor->receive, floor->receivers, "sqs", "AmazonSQS.ReceiveMessage", on_received);
	make_callers(floor, floor->launch, floor->in_flight, "ecs", ECS ".RunTask", on_launched);
	make_callers(floor, floor->discard, DELETERS, "sqs", "AmazonSQS.DeleteMessageBatch", on_deleted);
	make_callers(floor, floor->look, DESCRIBERS, "ecs", ECS ".DescribeTasks", on_looked);
	drain(floor);
	end_callers(floor->receive, floor->receivers);
	end_callers(floor->launch, floor->in_flight);
	end_callers(floor->discard, DELETERS);
	end_callers(floor->look, DESCRIBERS);
	bare_destroy(floor->bare);
	free(floor->arns);
	free(floor);
	return 0;
}
