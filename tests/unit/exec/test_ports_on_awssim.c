/* SPDX-License-Identifier: Apache-2.0 */
/* The SQS and ECS adapters over real calls, against the simulator of AWS: a worker without a store,
 * which launches what it receives, watches it, and settles it.  The simulator's own account says what
 * has really happened. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "aws/aws.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/list.h"
#include "base/mem.h"
#include "exec/exec.h"
#include "job/job_message.h"
#include "job/job_token.h"
#include "net/http_client.h"
#include "queue/queue_sqs.h"

enum { DEADLINE_S = 60 };

struct task;

struct world {
	struct ev_loop *loop;
	struct log log;
	pid_t awssim;
	int lifeline;                   /* awssim ends with it */
	char url[64], queue_url[128];
	struct conf_aws conf_aws;
	struct conf_queue conf_queue;
	struct conf_deployer conf_deployer;
	struct aws *aws;
	struct queue *queue;
	struct exec *exec;
	struct http_client *http;
	json_t *http_doc;
	struct list tasks;              /* in order of receipt */
	size_t launched, settled, wanted, lost;
	size_t sent;
	struct job_result last;
	char order[1024];               /* ids in order of launch */
	struct task *first_running;
};

struct task {
	struct list link;
	struct world *world;
	struct queue_message *message;
	struct job *job;
	struct exec_watch *watch;
	bool begun;
	ev_timer again;
};

/* -- the simulator -------------------------------------------------------------------------------- */

static void start_awssim(struct world *world, const char *const *options)
{
	const char *path = getenv("AWSSIM") != NULL ? getenv("AWSSIM") : "tests/awssim/awssim";
	const char *argv[16] = { path, "--parent-pipe", "0" };
	int in[2], out[2], argc = 3;
	char line[128] = "";
	FILE *reader;

	while (*options != NULL)
		argv[argc++] = *options++;
	assert_int_equal(pipe(in) | pipe(out), 0);
	world->awssim = fork();
	if (world->awssim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]), close(in[1]), close(out[0]), close(out[1]);
		execv(path, (char *const *)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	world->lifeline = in[1];
	reader = fdopen(out[0], "r");
	if (fgets(line, sizeof(line), reader) == NULL || sscanf(line, "awssim: listening on %63s", world->url) != 1)
		fail_msg("%s did not start: %s", path, line);
	fclose(reader);
	snprintf(world->queue_url, sizeof(world->queue_url), "%s/000000000000/%s", world->url, options[-1]);
}

static void on_answer(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct world *world = arg;

	if (err != NULL)
		fail_msg("%s", err->text);
	world->http_doc = json_at_parse(reply->body, reply->body_bytes, NULL);
}

/* One of the simulator's own calls; the answer is a new reference. */
static json_t *ask(struct world *world, const char *method, const char *path, const char *body)
{
	char *url = xasprintf("%s%s", world->url, path);
	struct http_request request = {
		.method = method, .url = url, .body = body, .body_bytes = body != NULL ? strlen(body) : 0,
		.timeout_ms = 10000, .reply_limit = 8 << 20,
	};
	json_t *doc;

	world->http_doc = NULL;
	http_client_start(world->http, &request, on_answer, world);
	while (world->http_doc == NULL)
		ev_run(world->loop, EVRUN_ONCE);
	doc = world->http_doc;
	world->http_doc = NULL;
	free(url);
	return doc;
}

static void fault(struct world *world, const char *body)
{
	json_t *doc = ask(world, "POST", "/_admin/fault", body);

	if (json_at(doc, "error") != NULL)
		fail_msg("%s", json_at_string(doc, "error"));
	json_decref(doc);
}

static int64_t number(const json_t *doc, const char *path)
{
	int64_t value = 0;

	json_at_integer(doc, path, &value);
	return value;
}

/* -- the worker ----------------------------------------------------------------------------------- */

static void on_settled(void *arg, const struct error *err)
{
	struct task *task = arg;

	if (err != NULL)
		fail_msg("settling %s: %s", task->job->id, err->text);
	task->world->settled++;
	list_remove(&task->link);
	job_destroy(task->job);
	free(task);
}

static void begin_next(struct world *world);

static void on_ended(void *arg, const struct exec_end *end)
{
	struct task *task = arg;
	struct world *world = task->world;

	world->last = end->result;
	task->watch = NULL;
	queue_settle(task->message, QUEUE_DONE, on_settled, task);
	task->message = NULL;
	begin_next(world);
}

static void prepare(struct task *task, unsigned step)
{
	struct job_attempt *attempt = &task->job->attempt;
	struct error err;

	attempt->number = 1;
	attempt->step = step;
	free(attempt->request);
	free(attempt->token);
	attempt->token = job_token(task->job->id, attempt->number, step);
	attempt->request = exec_prepare(task->world->exec, task->job, &err);
	if (attempt->request == NULL)
		fail_msg("%s", err.text);
}

static void on_launched(void *arg, const char *handle, const struct error *err)
{
	struct task *task = arg;
	struct exec_watch_events events = { .ended = on_ended, .arg = task };

	if (err != NULL && !error_may_pass(err->kind))
		fail_msg("launching %s: %s", task->job->id, err->text);
	if (err != NULL) {
		/* Without room it was decided that nothing starts, so the next try is another one. */
		if (exec_is_capacity(err))
			prepare(task, task->job->attempt.step + 1);
		ev_timer_set(&task->again, 0.2, 0.);
		ev_timer_start(task->world->loop, &task->again);
		return;
	}
	task->world->launched++;
	if (task->world->first_running == NULL)
		task->world->first_running = task;
	snprintf(task->world->order + strlen(task->world->order), sizeof(task->world->order) - strlen(task->world->order),
		"%s ", task->job->project);
	xreplace(&task->job->attempt.handle, handle);
	task->watch = exec_watch(task->world->exec, task->job->attempt.handle, task->job->attempt.request, clock_wall_ms(), &events);
}

static void launch(struct task *task)
{
	exec_launch(task->world->exec, task->job->attempt.request, task->job->attempt.token, on_launched, task);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	launch(container_of(timer, struct task, again));
}

/* Groups run in order: a task begins when no earlier one of its group is there. */
static bool is_blocked(const struct task *task)
{
	struct task *at;

	if (!queue_ordered(task->world->queue))
		return false;
	list_each(at, &task->world->tasks, link) {
		if (at == task)
			return false;
		if (at->message != NULL && strcmp(at->message->group, task->message->group) == 0)
			return true;
	}
	return false;
}

static void begin_next(struct world *world)
{
	struct task *task;

	list_each(task, &world->tasks, link) {
		if (task->begun || task->message == NULL || is_blocked(task))
			continue;
		task->begun = true;
		launch(task);
	}
}

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct world *world = arg;

	for (size_t i = 0; i < count; i++) {
		struct job_message_source source = { .queue = "q", .message_id = messages[i]->id, .default_deployer = "d" };
		struct task *task = xnew(struct task);
		struct error err;

		task->world = world;
		task->message = messages[i];
		assert_int_equal(messages[i]->deliveries, 1);
		task->job = job_message_parse(messages[i]->body, messages[i]->body_bytes, &source, &err);
		if (task->job == NULL)
			fail_msg("%s", err.text);
		queue_message_drop_body(messages[i]);
		prepare(task, 0);
		ev_timer_init(&task->again, on_again, 0., 0.);
		list_append(&world->tasks, &task->link);
	}
	queue_set_room(world->queue, 500);
	begin_next(world);
}

static void on_lost(void *arg, struct queue_message *message, const struct error *why)
{
	struct world *world = arg;

	(void)message;
	(void)why;
	world->lost++;
}

static void on_sent(void *arg, size_t sent, const struct error *err)
{
	struct world *world = arg;

	if (err != NULL)
		fail_msg("%s", err->text);
	world->sent += sent;
}

/* Sends so many jobs, of groups "g0", "g1"... in turn if groups is not 0. */
static void send_jobs(struct world *world, unsigned count, unsigned groups)
{
	struct queue_outgoing messages[10];
	char bodies[10][64], names[10][32];

	for (unsigned sent = 0; sent < count;) {
		unsigned n = count - sent < 10 ? count - sent : 10;

		for (unsigned i = 0; i < n; i++) {
			snprintf(bodies[i], sizeof(bodies[i]), "{\"project\":\"p%u\"}", sent + i);
			snprintf(names[i], sizeof(names[i]), "g%u", groups > 0 ? (sent + i) % groups : 0);
			messages[i] = (struct queue_outgoing){
				.body = bodies[i], .group = groups > 0 ? names[i] : NULL, .dedup = groups > 0 ? bodies[i] : NULL,
			};
		}
		sent += n;
		queue_send(world->queue, messages, n, on_sent, world);
		while (world->sent < sent)
			ev_run(world->loop, EVRUN_ONCE);
	}
	world->wanted += count;
}

static void run_until_settled(struct world *world)
{
	double until_s = clock_monotonic_s() + DEADLINE_S;

	while (world->settled < world->wanted && clock_monotonic_s() < until_s)
		ev_run(world->loop, EVRUN_ONCE);
	if (world->settled < world->wanted)
		fail_msg("%zu of %zu jobs are settled, %zu launched", world->settled, world->wanted, world->launched);
}

static void begin(struct world *world, const char *queue, const char *const *options)
{
	const char *all[12];
	size_t n = 0;
	struct queue_events events = { .received = on_received, .lost = on_lost, .arg = world };
	struct queue_env queue_env;
	struct exec_env exec_env;
	struct error err;

	*world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO) };
	while (*options != NULL)
		all[n++] = *options++;
	all[n++] = "--queue";
	all[n++] = queue;
	all[n] = NULL;
	start_awssim(world, all);
	log_init(&world->log, NULL, "test");
	log_set_level(LOG_LEVEL_ERROR + 1);
	list_init(&world->tasks);
	world->conf_aws = (struct conf_aws){
		.region = (char *)"us-east-1", .endpoint_url = world->url, .access_key = (char *)"AKIDSIM",
		.secret_key = (char *)"simsecret",
	};
	world->conf_queue = (struct conf_queue){
		.name = (char *)"q", .url = world->queue_url, .visibility_timeout_ms = 30000, .wait_time_ms = 2000,
		.delete_linger_ms = 500, .max_in_flight = 500,
	};
	world->conf_deployer = (struct conf_deployer){
		.name = (char *)"d", .cluster = (char *)"prod", .task_definition = (char *)"deploy", .container = (char *)"app",
		.launch_type = (char *)"FARGATE",
	};
	texts_add(&world->conf_deployer.network.subnets, "subnet-1");
	world->aws = aws_create(world->loop, &world->log, &world->conf_aws, &err);
	if (world->aws == NULL)
		fail_msg("%s", err.text);
	world->http = http_client_create(world->loop, &world->log, &(struct http_client_options){ .user_agent = "test" });
	queue_env = (struct queue_env){ .loop = world->loop, .log = &world->log, .aws = world->aws };
	world->queue = queue_create(&world->conf_queue, &queue_env, &events, &err);
	assert_non_null(world->queue);
	exec_env = (struct exec_env){ .loop = world->loop, .log = &world->log, .aws = world->aws };
	world->exec = exec_create(&world->conf_deployer, &exec_env, &err);
	assert_non_null(world->exec);
}

static void end(struct world *world)
{
	queue_destroy(world->queue);
	exec_destroy(world->exec);
	http_client_destroy(world->http);
	aws_destroy(world->aws);
	ev_loop_destroy(world->loop);
	texts_finish(&world->conf_deployer.network.subnets);
	close(world->lifeline);
	while (waitpid(world->awssim, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Every job once, every message received once and deleted. */
static void check_account(struct world *world)
{
	json_t *doc = ask(world, "GET", "/_account?env=GANTRY_JOB", NULL);

	assert_int_equal(number(doc, "messages.sent"), (int64_t)world->wanted);
	assert_int_equal(number(doc, "messages.received"), (int64_t)world->wanted);
	assert_int_equal(number(doc, "messages.received_again"), 0);
	assert_int_equal(number(doc, "messages.undeleted"), 0);
	assert_int_equal(number(doc, "tasks.created"), (int64_t)world->wanted);
	assert_int_equal(number(doc, "environment.distinct"), (int64_t)world->wanted);
	assert_int_equal(json_array_size(json_at(doc, "environment.doubled")), 0);
	assert_int_equal(world->lost, 0);
	json_decref(doc);
}

static int64_t calls(const json_t *stats, const char *action)
{
	const char *outcome;
	const json_t *value;
	char path[64];
	int64_t sum = 0;

	snprintf(path, sizeof(path), "calls.%s", action);
	json_object_foreach(json_at(stats, path), outcome, value)
		sum += json_integer_value(value);
	return sum;
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void every_message_becomes_one_task_in_few_calls(void **state)
{
	static const char *const options[] = { "--task-run-ms", "300", NULL };
	struct world world;
	json_t *stats;
	int64_t others;

	(void)state;
	begin(&world, "jobs", options);
	send_jobs(&world, 200, 0);
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	run_until_settled(&world);
	check_account(&world);
	stats = ask(&world, "GET", "/_stats", NULL);
	assert_int_equal(calls(stats, "RunTask"), 200);
	others = calls(stats, "ReceiveMessage") + calls(stats, "DeleteMessageBatch") +
		 calls(stats, "ChangeMessageVisibilityBatch") + calls(stats, "ChangeMessageVisibility");
	if (others > 60)
		fail_msg("%lld calls besides RunTask for 200 jobs: %lld receives, %lld deletes", (long long)others,
			(long long)calls(stats, "ReceiveMessage"), (long long)calls(stats, "DeleteMessageBatch"));
	json_decref(stats);
	end(&world);
}

static void faults_neither_lose_nor_double(void **state)
{
	static const char *const options[] = { "--task-run-ms", "300", "--consistency-ms", "700", NULL };
	static const char *const faults[] = {
		"{\"action\":\"RunTask\",\"kind\":\"lost_answer\",\"probability\":0.1}",
		"{\"action\":\"RunTask\",\"kind\":\"drop_before\",\"probability\":0.05}",
		"{\"action\":\"RunTask\",\"kind\":\"throttle\",\"probability\":0.05}",
		"{\"action\":\"RunTask\",\"kind\":\"hidden_throttle\",\"probability\":0.05}",
		"{\"action\":\"RunTask\",\"kind\":\"html\",\"probability\":0.03}",
		"{\"action\":\"RunTask\",\"kind\":\"truncate\",\"probability\":0.03}",
		"{\"action\":\"RunTask\",\"kind\":\"wrong_types\",\"probability\":0.03}",
		"{\"action\":\"RunTask\",\"kind\":\"failures\",\"probability\":0.03,\"effect\":true}",
		"{\"action\":\"DeleteMessageBatch\",\"kind\":\"entry_error\",\"probability\":0.2}",
		"{\"action\":\"DeleteMessageBatch\",\"kind\":\"lost_answer\",\"probability\":0.1}",
		"{\"action\":\"DeleteMessageBatch\",\"kind\":\"throttle\",\"probability\":0.1}",
		"{\"action\":\"DescribeTasks\",\"kind\":\"missing\",\"probability\":0.2}",
		"{\"action\":\"DescribeTasks\",\"kind\":\"http_500\",\"probability\":0.1}",
		"{\"action\":\"DescribeTasks\",\"kind\":\"garbage\",\"probability\":0.1}",
		"{\"action\":\"ReceiveMessage\",\"kind\":\"throttle\",\"count\":2}",
	};
	struct world world;

	(void)state;
	begin(&world, "jobs", options);
	send_jobs(&world, 60, 0);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		fault(&world, faults[i]);
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	run_until_settled(&world);
	check_account(&world);
	end(&world);
}

static void leases_outlive_the_visibility_timeout(void **state)
{
	static const char *const options[] = { "--task-run-ms", "5000", NULL };
	struct world world;
	json_t *stats;

	(void)state;
	begin(&world, "jobs", options);
	queue_destroy(world.queue);
	world.conf_queue.visibility_timeout_ms = 2000;
	world.queue = queue_create(&world.conf_queue, &(struct queue_env){ .loop = world.loop, .log = &world.log,
		.aws = world.aws }, &(struct queue_events){ .received = on_received, .lost = on_lost, .arg = &world }, NULL);
	send_jobs(&world, 30, 0);
	fault(&world, "{\"action\":\"ChangeMessageVisibilityBatch\",\"kind\":\"throttle\",\"count\":2}");
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	run_until_settled(&world);
	check_account(&world);
	stats = ask(&world, "GET", "/_stats", NULL);
	assert_in_range(calls(stats, "ChangeMessageVisibilityBatch"), 9, 40);
	json_decref(stats);
	end(&world);
}

/* A holder of messages and nothing else, whose clock moves with the simulator's. */
struct keeper {
	struct world *world;
	struct queue_message *kept, *let_go;    /* the first is settled when it expires, the second never */
	size_t received, expiring, lost, settled;
	double held_s, expired_s;
};

static void on_kept(void *arg, struct queue_message **messages, size_t count)
{
	struct keeper *keeper = arg;

	for (size_t i = 0; i < count; i++) {
		keeper->received++;
		if (keeper->kept == NULL)
			keeper->kept = messages[i];
		else if (keeper->let_go == NULL)
			keeper->let_go = messages[i];
	}
}

static void on_kept_settled(void *arg, const struct error *err)
{
	struct keeper *keeper = arg;

	assert_null(err);
	keeper->settled++;
}

static void on_kept_expiring(void *arg, struct queue_message *message)
{
	struct keeper *keeper = arg;

	keeper->expiring++;
	keeper->expired_s = keeper->held_s;
	if (message == keeper->kept)
		queue_settle(message, QUEUE_DONE, on_kept_settled, keeper);
}

static void on_kept_lost(void *arg, struct queue_message *message, const struct error *why)
{
	struct keeper *keeper = arg;

	assert_ptr_equal(message, keeper->let_go);
	assert_non_null(strstr(why->text, "12 hours"));
	keeper->lost++;
}

static void pass(struct keeper *keeper, unsigned seconds)
{
	struct world *world = keeper->world;
	struct queue_sqs *sqs = container_of(world->queue, struct queue_sqs, face);
	char body[64];

	snprintf(body, sizeof(body), "{\"advance_s\":%u}", seconds);
	json_decref(ask(world, "POST", "/_admin/clock", body));
	clock_shift(seconds, 0);
	keeper->held_s += seconds;
	ev_feed_event(world->loop, &sqs->lease.timer, EV_TIMER);
	do
		ev_run(world->loop, EVRUN_ONCE);
	while (!list_empty(&sqs->batches));
}

static void a_hold_ends_after_twelve_hours(void **state)
{
	static const char *const options[] = { NULL };
	struct world world;
	struct keeper keeper = { .world = &world };
	json_t *doc;

	(void)state;
	begin(&world, "jobs", options);
	queue_destroy(world.queue);
	world.conf_queue.visibility_timeout_ms = 3600 * 1000;
	world.queue = queue_create(&world.conf_queue, &(struct queue_env){ .loop = world.loop, .log = &world.log,
		.aws = world.aws }, &(struct queue_events){ .received = on_kept, .lost = on_kept_lost,
		.expiring = on_kept_expiring, .arg = &keeper }, NULL);
	send_jobs(&world, 2, 0);
	queue_start(world.queue);
	queue_set_room(world.queue, 10);
	while (keeper.received < 2)
		ev_run(world.loop, EVRUN_ONCE);
	while (keeper.held_s < 12 * 3600 - 20 * 60)
		pass(&keeper, 20 * 60);
	assert_int_equal(keeper.expiring, 0);
	pass(&keeper, 6 * 60);
	assert_int_equal(keeper.expiring, 2);
	assert_int_equal(keeper.lost, 0);
	while (keeper.settled < 1)
		ev_run(world.loop, EVRUN_ONCE);
	pass(&keeper, 13 * 60 + 30);
	assert_int_equal(keeper.lost, 1);
	assert_int_equal(keeper.received, 2);
	pass(&keeper, 40);
	while (keeper.received < 3)
		ev_run(world.loop, EVRUN_ONCE);
	doc = ask(&world, "GET", "/_account", NULL);
	assert_int_equal(number(doc, "messages.received_again"), 1);
	assert_int_equal(number(doc, "messages.undeleted"), 1);
	json_decref(doc);
	end(&world);
}

/* Of "p0 p4 p1...", each group's numbers grow; project n is of group n % groups. */
static void assert_in_order(const char *order, int groups)
{
	int last[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	for (const char *at = strchr(order, 'p'); at != NULL; at = strchr(at + 1, 'p')) {
		int n = atoi(at + 1);

		if (n <= last[n % groups])
			fail_msg("p%d after p%d: %s", n, last[n % groups], order);
		last[n % groups] = n;
	}
}

/* -- by hand -------------------------------------------------------------------------------------- */

struct by_hand {
	size_t calls, seen;
	unsigned most_deliveries;
	char order[512];                /* projects, in the order they were shown */
	struct queue_depth depth;
	uint64_t moved;
	struct error error;
};

static void on_seen(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err)
{
	struct by_hand *hand = arg;
	size_t used = 0;

	if (err != NULL)
		fail_msg("%s", err->text);
	hand->calls++;
	hand->seen = count;
	hand->order[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (messages[i].deliveries > hand->most_deliveries)
			hand->most_deliveries = messages[i].deliveries;
		assert_true(messages[i].sent_ms > 0);
		if (used < sizeof(hand->order) - 32)
			used += (size_t)snprintf(hand->order + used, sizeof(hand->order) - used, "%.*s ",
				(int)messages[i].body_bytes - 14, messages[i].body + 12);
	}
}

static void on_depth(void *arg, const struct queue_depth *depth, const struct error *err)
{
	struct by_hand *hand = arg;

	if (err != NULL)
		fail_msg("%s", err->text);
	hand->calls++;
	hand->depth = *depth;
}

static void on_redriven(void *arg, uint64_t moved, const struct error *err)
{
	struct by_hand *hand = arg;

	hand->calls++;
	hand->moved = moved;
	hand->error = err != NULL ? *err : (struct error){ 0 };
}

static void await_hand(struct world *world, struct by_hand *hand, size_t calls)
{
	double until_s = clock_monotonic_s() + DEADLINE_S;

	while (hand->calls < calls && clock_monotonic_s() < until_s)
		ev_run(world->loop, EVRUN_ONCE);
	assert_int_equal(hand->calls, calls);
}

static void a_look_leaves_the_queue_as_it_was(void **state)
{
	static const char *const options[] = { NULL };
	static const char *const names[] = { "jobs", "jobs.fifo" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct world world;
		struct by_hand hand = { 0 };

		begin(&world, names[i], options);
		send_jobs(&world, 25, i == 0 ? 0 : 3);
		fault(&world, "{\"action\":\"ChangeMessageVisibilityBatch\",\"kind\":\"entry_error\",\"count\":2}");
		fault(&world, "{\"action\":\"ChangeMessageVisibilityBatch\",\"kind\":\"lost_answer\",\"count\":1}");
		queue_peek(world.queue, 100, on_seen, &hand);
		await_hand(&world, &hand, 1);
		/* Of the FIFO groups: nine of the first, with them one of the second, and the third. */
		assert_int_equal(hand.seen, i == 0 ? 25 : 18);
		assert_int_equal(hand.most_deliveries, 1);
		if (i == 1)
			assert_in_order(hand.order, 3);
		queue_depth(world.queue, on_depth, &hand);
		await_hand(&world, &hand, 2);
		assert_int_equal(hand.depth.visible, 25);
		assert_int_equal(hand.depth.hidden, 0);
		assert_int_equal(hand.depth.oldest_age_ms, -1);
		queue_peek(world.queue, 5, on_seen, &hand);
		await_hand(&world, &hand, 3);
		assert_int_equal(hand.seen, 5);
		assert_int_equal(hand.most_deliveries, 2);
		if (i == 1)
			assert_in_order(hand.order, 3);
		end(&world);
	}
}

/* One message of each is received as often as the policy allows, and once more. */
static void dead_letters_come_back_by_a_redrive(void **state)
{
	static const char *const options[][5] = {
		{ "--queue", "dead", "--queue", "jobs:DeadLetter=dead,MaxReceives=1", NULL },
		{ "--queue", "dead.fifo", "--queue", "jobs.fifo:DeadLetter=dead.fifo,MaxReceives=1", NULL },
	};
	static const char *const names[] = { "jobs", "jobs.fifo" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct world world;
		struct by_hand hand = { 0 };

		begin(&world, names[i], options[i]);
		send_jobs(&world, 15, i == 0 ? 0 : 1);
		queue_peek(world.queue, 100, on_seen, &hand);
		await_hand(&world, &hand, 1);
		/* Of a FIFO group only its first ten can be seen at once. */
		assert_int_equal(hand.seen, i == 0 ? 15 : 10);
		queue_peek(world.queue, 100, on_seen, &hand);
		await_hand(&world, &hand, 2);
		queue_depth(world.queue, on_depth, &hand);
		await_hand(&world, &hand, 3);
		assert_int_equal(hand.depth.visible, i == 0 ? 0 : 5);
		assert_int_equal(hand.depth.max_receives, 1);
		assert_non_null(strstr(hand.depth.dead_letter, i == 0 ? ":dead" : ":dead.fifo"));
		fault(&world, "{\"action\":\"StartMessageMoveTask\",\"kind\":\"lost_answer\",\"count\":1}");
		queue_redrive(world.queue, NULL, on_redriven, &hand);
		await_hand(&world, &hand, 4);
		if (hand.error.kind != ERROR_NONE)
			fail_msg("%s", hand.error.text);
		queue_depth(world.queue, on_depth, &hand);
		await_hand(&world, &hand, 5);
		assert_int_equal(hand.depth.visible, 15);
		end(&world);
	}
}

static void groups_run_in_order(void **state)
{
	static const char *const options[] = { "--task-run-ms", "100", NULL };
	struct world world;

	(void)state;
	begin(&world, "jobs.fifo", options);
	assert_true(queue_ordered(world.queue));
	send_jobs(&world, 24, 4);
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	run_until_settled(&world);
	check_account(&world);
	assert_in_order(world.order, 4);
	end(&world);
}

static void a_stop_ends_a_task(void **state)
{
	static const char *const options[] = { "--task-run-ms", "600000", NULL };
	struct world world;
	double until_s = clock_monotonic_s() + DEADLINE_S;

	(void)state;
	begin(&world, "jobs", options);
	send_jobs(&world, 1, 0);
	fault(&world, "{\"action\":\"StopTask\",\"kind\":\"drop_before\",\"count\":4}");
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	while (world.first_running == NULL && clock_monotonic_s() < until_s)
		ev_run(world.loop, EVRUN_ONCE);
	assert_non_null(world.first_running);
	exec_stop(world.first_running->watch, "gantry: timeout");
	run_until_settled(&world);
	assert_int_equal(world.last.state, JOB_CANCELLED);
	assert_non_null(strstr(world.last.detail, "gantry: timeout"));
	check_account(&world);
	end(&world);
}

static void on_looked(void *arg, const char *handle, const struct error *err)
{
	char *found = arg;

	snprintf(found, 256, "%s", err != NULL ? "error" : handle != NULL ? handle : "none");
}

static void a_look_finds_the_launch_and_no_other(void **state)
{
	static const char *const options[] = { "--task-run-ms", "300", NULL };
	struct world world;
	struct job *job = job_create();
	struct error err;
	char *request, found[256] = "";

	(void)state;
	begin(&world, "jobs", options);
	job->id = xstrdup("somebody else");
	job->project = xstrdup("p");
	job->attempt.number = 1;
	send_jobs(&world, 3, 0);
	queue_start(world.queue);
	queue_set_room(world.queue, 500);
	while (world.launched < 3)
		ev_run(world.loop, EVRUN_ONCE);
	request = xstrdup(world.first_running->job->attempt.request);
	run_until_settled(&world);
	exec_look(world.exec, request, "t", clock_wall_ms() - 60000, on_looked, found);
	while (found[0] == '\0')
		ev_run(world.loop, EVRUN_ONCE);
	assert_non_null(strstr(found, ":task/"));
	free(request);
	found[0] = '\0';
	request = exec_prepare(world.exec, job, &err);
	exec_look(world.exec, request, "t", clock_wall_ms() - 60000, on_looked, found);
	while (found[0] == '\0')
		ev_run(world.loop, EVRUN_ONCE);
	assert_string_equal(found, "none");
	free(request);
	job_destroy(job);
	end(&world);
}

static void on_probed(void *arg, const struct error *err)
{
	struct error *out = arg;

	if (err != NULL)
		*out = *err;
	else
		error_set_code(out, "well");
}

static void a_probe_tells_a_queue_from_none(void **state)
{
	static const char *const options[] = { NULL };
	struct world world;
	struct error err = { 0 };

	(void)state;
	begin(&world, "jobs", options);
	queue_probe(world.queue, on_probed, &err);
	while (err.code[0] == '\0')
		ev_run(world.loop, EVRUN_ONCE);
	assert_string_equal(err.code, "well");
	queue_destroy(world.queue);
	snprintf(world.queue_url, sizeof(world.queue_url), "%s/000000000000/nothing", world.url);
	world.queue = queue_create(&world.conf_queue, &(struct queue_env){ .loop = world.loop, .log = &world.log,
		.aws = world.aws }, &(struct queue_events){ .received = on_received, .arg = &world }, NULL);
	err = (struct error){ 0 };
	queue_probe(world.queue, on_probed, &err);
	while (err.kind == ERROR_NONE)
		ev_run(world.loop, EVRUN_ONCE);
	assert_string_equal(err.code, "QueueDoesNotExist");
	assert_false(error_may_pass(err.kind));
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_becomes_one_task_in_few_calls),
		cmocka_unit_test(faults_neither_lose_nor_double),
		cmocka_unit_test(leases_outlive_the_visibility_timeout),
		cmocka_unit_test(a_hold_ends_after_twelve_hours),
		cmocka_unit_test(a_look_leaves_the_queue_as_it_was),
		cmocka_unit_test(dead_letters_come_back_by_a_redrive),
		cmocka_unit_test(groups_run_in_order),
		cmocka_unit_test(a_stop_ends_a_task),
		cmocka_unit_test(a_look_finds_the_launch_and_no_other),
		cmocka_unit_test(a_probe_tells_a_queue_from_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
