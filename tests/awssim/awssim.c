/* SPDX-License-Identifier: Apache-2.0 */
/* awssim.c - a simulator of AWS SQS and ECS, with as much of STS, SNS, instance metadata and the
 * container endpoint as a credential chain needs.  A test tool: nobody installs it.
 *
 * One process, one thread, one port of 127.0.0.1.  Everything lives in memory and is gone with
 * the process.  What it answers follows the service models and the services' documents; where
 * those are silent, the comment beside the code says what was chosen.
 *
 * Services, by what the request says
 *   SQS   X-Amz-Target: AmazonSQS.*  (AWS JSON 1.0), or the older query protocol
 *   ECS   X-Amz-Target: AmazonEC2ContainerServiceV20141113.*  (AWS JSON 1.1)
 *   Logs  GetLogEvents, CreateLogStream, PutLogEvents  (Logs_20140328.*, AWS JSON 1.1)
 *   SNS   Publish; STS AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity (query protocol)
 *   IMDS  PUT /latest/api/token, GET /latest/meta-data/iam/security-credentials/[awssim-role],
 *         GET /latest/meta-data/placement/region;  container endpoint: GET /creds
 * Signatures are verified; the credentials are AKIDSIM / simsecret, those of --key, and any
 * session that STS or an endpoint above has handed out.
 *
 * Tasks run by the clock unless --exec is given.  Variables in a container override (or a
 * registered task definition) change how a task behaves:
 *   SIM_START_MS, SIM_RUN_MS     how long it takes to start; how long it runs
 *   SIM_EXIT_CODE                exit code of the judged container, the first one overridden
 *   SIM_NO_EXIT_CODE=1           ... which then has none at all
 *   SIM_SIDECAR_EXIT             one more container, "sidecar", with this exit code
 *   SIM_STOP_CODE, SIM_STOP_REASON, SIM_CONTAINER_REASON
 *   SIM_FAIL_TO_START=1          never RUNNING: TaskFailedToStart
 *   SIM_IGNORE_TERM=1            StopTask works only when the stop timeout is over
 *   SIM_LOG, SIM_LOG_END         lines that it writes when it starts; when it ends
 *   SIM_LOG_LINES=N, SIM_LOG_LINE, SIM_LOG_EVERY_MS  N more lines, the text and a number from 0,
 *                                so far apart
 *   SIM_LOG_DELAY_MS             how much later lines can be read than they were written
 * What a task writes goes where the task definition's logConfiguration says (awslogs); a definition
 * that was made up has /ecs/FAMILY, prefix "ecs".  Only tasks with one of these begin a stream.
 *
 * The simulator's own calls, JSON in and out
 *   GET  /_health  /_stats
 *   GET  /_account[?env=NAME]    totals; which values of the variable NAME were launched twice
 *   GET  /_account/messages[?queue=&group=&id=]   /_account/published
 *        /_account/tasks[?started_by=&client_token=&arn=&env=NAME&value=V]
 *        in pages, [&after=N&limit=N]: "next" is the following page's after, or null
 *   POST /_reset                 messages, tasks, faults, counts and the account are gone
 *   POST /_admin/fault           {"action": "RunTask" or "*", "kind": K, "count": N (1) or
 *        "probability": P, "skip": N, "match": "text in the body", "effect": true|false,
 *        "status", "code", "message", "ms", "bytes", "sender_fault"}
 *        K with the effect:    lost_answer stall delay truncate cut garbage wrong_types huge drip
 *        K without the effect: drop_before error throttle http_500 hidden_throttle html
 *                              failures (RunTask) missing (DescribeTasks) empty (ReceiveMessage,
 *                              GetLogEvents)
 *                              entry_error (batch calls: one entry each time)
 *        Metadata calls are IMDSToken IMDSRole IMDSCredentials IMDSRegion ContainerCredentials.
 *   GET, DELETE /_admin/fault    the rules that are left; no more faults
 *   POST /_admin/capacity        {"provider": "FARGATE_SPOT", "available": N (-1: no end), "reason"};
 *                                the same with "subnet"; of several, RunTask takes one by chance
 *   POST /_admin/rate            {"action": "RunTask" or "DescribeTasks", "per_s": N (0: no end),
 *                                "burst": N (per_s)}: calls beyond are throttled
 *   POST /_admin/duplicate       {"probability": P, "after_delete": P}, standard queues
 *   POST /_admin/clock           {"advance_s": N}: everything stored gets older;
 *                                {"skew_s": N}: the Date header, and what signatures are held to
 *   POST /_admin/events          {"queue_url": URL or null}: task state changes, as events
 *   POST /_admin/ecs             {"start_ms", "run_ms", "stop_ms", "stop_timeout_ms",
 *                                "consistency_ms", "stopped_life_s", "failures_bind_token",
 *                                "first_subnet": true chooses the first, not any}
 *   POST /_admin/finish          {}: tasks by the clock come to their own end now
 *   POST /_admin/credentials     {"life_s": N, "expire": true, "container_token",
 *                                "web_identity_token"}
 *
 * It stops at SIGTERM or SIGINT, and at the end of file on --parent-pipe, so that a test that
 * died leaves nobody behind.  For the command line: awssim --help. */
#include "admin_api.h"
#include "call.h"
#include "ecs.h"
#include "identity.h"
#include "json_pool.h"
#include "key_ring.h"
#include "logs.h"
#include "options.h"
#include "sqs.h"
#include "stats.h"
#include "xalloc.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

struct stop_watchers {
	ev_signal term, interrupt;
	ev_io parent;
};

static void on_stop_signal(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)watcher, (void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void on_parent(struct ev_loop *loop, ev_io *io, int revents)
{
	char byte;
	ssize_t bytes = read(io->fd, &byte, 1);

	(void)revents;
	if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR))
		ev_break(loop, EVBREAK_ALL);
}

static void on_request(void *arg, struct http_exchange *exchange)
{
	struct simulator *sim = arg;

	http_server_set_date(sim->http, (long)sim_clock_wall_s(sim->world.clock));
	if (!admin_handle(sim, exchange))
		call_begin(sim, exchange);
}

static void watch_stop(struct ev_loop *loop, struct stop_watchers *watchers, int parent_fd)
{
	ev_signal_init(&watchers->term, on_stop_signal, SIGTERM);
	ev_signal_init(&watchers->interrupt, on_stop_signal, SIGINT);
	ev_io_init(&watchers->parent, on_parent, parent_fd, EV_READ);
	ev_signal_start(loop, &watchers->term);
	ev_signal_start(loop, &watchers->interrupt);
	if (parent_fd >= 0)
		ev_io_start(loop, &watchers->parent);
}

static void world_init(struct world *world, const struct options *options)
{
	world->loop = ev_default_loop(EVFLAG_AUTO);
	world->clock = sim_clock_create(world->loop);
	world->dice.state = options->seed;
	world->digest = digest_create();
	world->ledger = ledger_create(!options->no_ledger);
	world->strict = options->strict;
}

static void world_finish(struct world *world)
{
	ledger_destroy(world->ledger);
	digest_destroy(world->digest);
	sim_clock_destroy(world->clock);
	ev_loop_destroy(world->loop);
}

/* The parts that know the port, as queue URLs name it. */
static bool simulator_open(struct simulator *sim, const struct options *options)
{
	sim->http = http_server_create(sim->world.loop, options->port, on_request, sim);
	if (sim->http == NULL) {
		fprintf(stderr, "awssim: cannot listen on port %u: %s\n", options->port,
			strerror(errno));
		return false;
	}
	snprintf(sim->world.origin, sizeof(sim->world.origin), "http://127.0.0.1:%u",
		 http_server_port(sim->http));
	if (options->record != NULL) {
		sim->record = fopen(options->record, "ae");
		if (sim->record == NULL) {
			fprintf(stderr, "awssim: %s: %s\n", options->record, strerror(errno));
			return false;
		}
	}
	return options_apply(options, sim);
}

static void simulator_init(struct simulator *sim, const struct options *options)
{
	world_init(&sim->world, options);
	sim->no_auth = options->no_auth;
	sim->keys = key_ring_create();
	key_ring_add(sim->keys, "AKIDSIM", "simsecret");
	sim->faults = faults_create();
	sim->stats = stats_create();
	sim->sqs = sqs_create(&sim->world);
	sim->logs = logs_create(&sim->world);
	sim->ecs = ecs_create(&sim->world, sim->sqs, sim->logs);
	sim->identity = identity_create();
	sim->published = json_array();
}

/* Connections go first, as waiting calls hang off them. */
static void simulator_finish(struct simulator *sim)
{
	http_server_destroy(sim->http);
	ecs_destroy(sim->ecs);
	logs_destroy(sim->logs);
	sqs_destroy(sim->sqs);
	identity_destroy(sim->identity);
	stats_destroy(sim->stats);
	faults_destroy(sim->faults);
	key_ring_destroy(sim->keys);
	json_decref(sim->published);
	text_finish(&sim->scratch);
	text_finish(&sim->headers);
	text_finish(&sim->raw);
	if (sim->record != NULL)
		fclose(sim->record);
	world_finish(&sim->world);
}

static bool announce(const struct simulator *sim, const struct options *options)
{
	if (options->port_file != NULL) {
		FILE *file = fopen(options->port_file, "we");

		if (file == NULL || fprintf(file, "%u\n", http_server_port(sim->http)) < 0 ||
		    fclose(file) != 0) {
			fprintf(stderr, "awssim: %s: %s\n", options->port_file, strerror(errno));
			return false;
		}
	}
	printf("awssim: listening on %s\n", sim->world.origin);
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct simulator sim = { .http = NULL };
	struct stop_watchers watchers;
	int status = 1;

	if (!options_read(&options, argc, argv))
		return options.exit_status;
	signal(SIGPIPE, SIG_IGN);
	json_pool_begin();
	simulator_init(&sim, &options);
	watch_stop(sim.world.loop, &watchers, options.parent_fd);
	if (simulator_open(&sim, &options) && announce(&sim, &options)) {
		ev_run(sim.world.loop, 0);
		status = 0;
	}
	simulator_finish(&sim);
	options_finish(&options);
	return status;
}
