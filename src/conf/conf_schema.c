/* SPDX-License-Identifier: Apache-2.0 */
/* conf_schema.c - see conf_schema.h.  The tables stand in the order in which people read them:
 * gantry.yaml(5), gantryctl conf and the canonical form print it. */
#include "conf/conf_schema.h"

#include <string.h>

#include "conf/conf.h"
#include "config.h"

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
	LIMIT_SOCKET_PATH_BYTES = 107,          /* sun_path without its NUL */
};
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

/* The offset of a field, refused by the compiler when the field has another type. */
#define FIELD(object, field, type) (offsetof(object, field) + 0 * sizeof(&((object *)0)->field == (type *)0))

#define UINT(object, field, low, high) \
	.kind = CONF_UINT, .offset = FIELD(object, field, unsigned), .min = (low), .max = (high)
#define DURATION(object, field, low, high) \
	.kind = CONF_DURATION, .offset = FIELD(object, field, int64_t), .min = (low), .max = (high)
#define SIZE(object, field, low, high) \
	.kind = CONF_SIZE, .offset = FIELD(object, field, int64_t), .min = (low), .max = (high)
#define BOOL(object, field) \
	.kind = CONF_BOOL, .offset = FIELD(object, field, bool)
#define ENUM(object, field, names) \
	.kind = CONF_ENUM, .offset = FIELD(object, field, unsigned), .words = (names)
#define WORD(object, field, names) \
	.kind = CONF_WORD, .offset = FIELD(object, field, char *), .words = (names)
#define TEXT(object, field, high) \
	.kind = CONF_TEXT, .offset = FIELD(object, field, char *), .min = 1, .max = (high)
#define URL(object, field, schemes) \
	.kind = CONF_URL, .offset = FIELD(object, field, char *), .words = (schemes), .min = 1, .max = 2048
#define PATH(object, field, high) \
	.kind = CONF_PATH, .offset = FIELD(object, field, char *), .min = 1, .max = (high)
#define TEMPLATE(object, field) \
	.kind = CONF_TEMPLATE, .offset = FIELD(object, field, char *), .min = 1, .max = LIMIT_CONF_TEXT_BYTES
#define TEXTS(object, field, high) \
	.kind = CONF_TEXTS, .offset = FIELD(object, field, struct texts), .max = (high)
#define TEMPLATES(object, field, high) \
	.kind = CONF_TEMPLATES, .offset = FIELD(object, field, struct texts), .max = (high)
#define TEMPLATE_PAIRS(object, field, high) \
	.kind = CONF_TEMPLATE_PAIRS, .offset = FIELD(object, field, struct pairs), .max = (high)
#define SECTION(object, field, type, table) \
	.kind = CONF_SECTION, .offset = FIELD(object, field, type), .rows = (table)
#define OPTION(object, field, type, table) \
	.kind = CONF_OPTION, .offset = FIELD(object, field, type *), .size = sizeof(type), .rows = (table)
#define ELEMENTS(object, field, field_count, type, table) \
	.offset = FIELD(object, field, type *), .count_offset = FIELD(object, field_count, size_t), \
	.size = sizeof(type), .rows = (table)
#define MAP(...) .kind = CONF_MAP, ELEMENTS(__VA_ARGS__)
#define LIST(...) .kind = CONF_LIST, ELEMENTS(__VA_ARGS__)

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "logfmt", "json", NULL };
static const char *const log_targets[] = { "stderr", "syslog", NULL };
static const char *const token_powers[] = { "submit", "read", "admin", NULL };
static const char *const http_schemes[] = { "https", "http", NULL };
static const char *const redis_schemes[] = { "redis", "rediss", "redis+sentinel", "unix", NULL };
#ifdef WITH_POSTGRESQL
static const char *const celery_schemes[] = {
	"redis", "rediss", "redis+sentinel", "unix", "db+postgresql", "db+postgresql+psycopg2", "db+postgresql+psycopg", NULL,
};
static const char *const *const absent_results = NULL;
static const char *const store_schemes[] = {
	"sqlite", "redis", "rediss", "redis+sentinel", "unix", "postgresql", "postgres", "memory", NULL,
};
static const char *const *const absent_stores = NULL;
#else
#define celery_schemes redis_schemes
static const char *const absent_results[] = { "db+postgresql", "db+postgresql+psycopg2", "db+postgresql+psycopg", NULL };
static const char *const store_schemes[] = { "sqlite", "redis", "rediss", "redis+sentinel", "unix", "memory", NULL };
static const char *const absent_stores[] = { "postgresql", "postgres", NULL };
#endif
static const char *const queue_types[] = {
	[CONF_QUEUE_SQS] = "sqs", [CONF_QUEUE_REDIS] = "redis",
	[CONF_QUEUE_REDIS_STREAM] = "redis-stream", [CONF_QUEUE_STORE] = "store", [CONF_QUEUE_TYPES] = NULL,
};
static const char *const pop_ends[] = { [CONF_POP_RIGHT] = "right", [CONF_POP_LEFT] = "left", NULL };
static const char *const deployer_types[] = {
	[CONF_DEPLOYER_ECS] = "ecs", [CONF_DEPLOYER_PROCESS] = "process", [CONF_DEPLOYER_TYPES] = NULL,
};
static const char *const cgroup_ways[] = { "none", "auto", NULL };
static const char *const error_sink_types[] = { [CONF_SINK_REDIS] = "redis", NULL };
static const char *const sink_types[] = {
	[CONF_SINK_REDIS] = "redis", [CONF_SINK_WEBHOOK] = "webhook", [CONF_SINK_EMAIL] = "email", [CONF_SINK_SNS] = "sns",
	[CONF_SINK_SLACK] = "slack", [CONF_SINK_EXEC] = "exec", [CONF_SINK_CELERY] = "celery", [CONF_SINK_TYPES] = NULL,
};
static const char *const sink_events[] = {
	"accepted", "started", "retrying", "succeeded", "failed", "cancelled", "superseded", "uncertain", NULL,
};
static const char *const starttls_ways[] = {
	[CONF_STARTTLS_OFFERED] = "offered", [CONF_STARTTLS_REQUIRED] = "required", [CONF_STARTTLS_OFF] = "off", NULL,
};
static const char *const smtp_schemes[] = { "smtp", "smtps", NULL };
static const char *const notice_names[] = {
	"event", "id", "project", "deployer", "queue", "commit", "ref", "stage", "state", "reason",
	"detail", "exit_code", "attempt", "accepted", "started", "finished", "host", "url", "log_tail", NULL,
};
static const char *const launch_types[] = { "FARGATE", "EC2", "EXTERNAL", NULL };
static const char *const malformed_ways[] = {
	[CONF_MALFORMED_SETTLE] = "settle", [CONF_MALFORMED_DEAD_LETTER] = "dead_letter", NULL,
};
static const char *const unwrap_ways[] = {
	[CONF_UNWRAP_NONE] = "none", [CONF_UNWRAP_SNS] = "sns",
	[CONF_UNWRAP_CELERY] = "celery", NULL,
};
static const char *const lock_policies[] = {
	[LOCK_QUEUE] = "queue", [LOCK_LATEST] = "latest", [LOCK_REJECT] = "reject", [LOCK_PARALLEL] = "parallel",
	[LOCK_POLICIES] = NULL,
};

static const struct conf_row scale_rows[] = {
	{ .key = "min", UINT(struct conf_scale, min, 1, 512), .def = "1", .text = "The fewest workers." },
	{ .key = "max", UINT(struct conf_scale, max, 1, 512), .zero = "as many as there are processors", .def = "0",
	  .text = "The most workers." },
	{ .key = "depth_per_worker", UINT(struct conf_scale, depth_per_worker, 1, 1000000000),
	  .zero = "the number of workers stays", .def = "0",
	  .text = "How many waiting messages are worth a worker." },
	{ .key = NULL },
};

static const struct conf_row supervisor_rows[] = {
	{ .key = "workers", UINT(struct conf_supervisor, workers, 1, 512), .def = "4",
	  .text = "How many worker processes the master keeps alive." },
	{ .key = "scale", SECTION(struct conf_supervisor, scale, struct conf_scale, scale_rows),
	  .text = "Lets workers come and go by how many messages wait in all queues of SQS and Redis together, "
	          "beginning with workers: a backlog is met at the next look, "
	          "by twice as many workers at most; a worker leaves when eight looks in a row wanted fewer. "
	          "A count that was set by signals TTIN and TTOU is left alone until the next reload." },
	{ .key = "depth_interval", DURATION(struct conf_supervisor, depth_interval_ms, SECOND, HOUR), .def = "15s",
	  .text = "How often one worker asks queues how many messages wait, for scale and for those that have "
	          "warn_depth or alarm_depth." },
	{ .key = "user", TEXT(struct conf_supervisor, user, 32), .applies = CONF_ON_RESTART,
	  .text = "The user to become after a start as root. "
	          "All files that the configuration names are read as that user. "
	          "Without it, gantryd stays who it is." },
	{ .key = "pid_file", PATH(struct conf_supervisor, pid_file, 4095), .def = "$RUN/gantryd.pid",
	  .applies = CONF_ON_RESTART,
	  .text = "Where the master's process id is written; the file is locked while the master lives." },
	{ .key = "control_socket", PATH(struct conf_supervisor, control_socket, LIMIT_SOCKET_PATH_BYTES),
	  .def = "$RUN/control.sock", .applies = CONF_ON_RESTART,
	  .text = "The Unix socket through which gantryctl speaks to the master." },
	{ .key = "ready_timeout", DURATION(struct conf_supervisor, ready_timeout_ms, SECOND, 10 * MINUTE), .def = "10s",
	  .text = "A new worker must be ready within this time, or the reload rolls back." },
	{ .key = "drain_timeout", DURATION(struct conf_supervisor, drain_timeout_ms, 0, HOUR), .def = "30s",
	  .text = "How long jobs may go on to their end in a worker that leaves. "
	          "What is left is handed over to the other workers; nothing that runs is stopped." },
	{ .key = "lease", DURATION(struct conf_supervisor, lease_ms, 3 * SECOND, HOUR), .def = "30s",
	  .text = "A worker that the store has not heard of for this long, as its host is gone, loses its jobs to the "
	          "others. "
	          "It renews its lease, and looks for jobs that nobody owns, every third of this time." },
	{ .key = "watchdog", DURATION(struct conf_supervisor, watchdog_ms, SECOND, HOUR), .zero = "off", .def = "30s",
	  .text = "A worker that is silent for this long is killed and replaced." },
	{ .key = "probation", DURATION(struct conf_supervisor, probation_ms, SECOND, HOUR), .zero = "off", .def = "30s",
	  .text = "If most new workers die within this time after a reload, "
	          "the configuration before it comes back, once." },
	{ .key = "old_generations", UINT(struct conf_supervisor, old_generations, 1, 16), .def = "2",
	  .text = "How many generations may be draining at once; the next reload waits for one to leave." },
	{ .key = "history", DURATION(struct conf_supervisor, history_ms, HOUR, (int64_t)3660 * DAY), .zero = "for ever",
	  .def = "90d",
	  .text = "How long a job that has ended is known, with all that is kept of it; then its id is a new job's "
	          "again. "
	          "Keep it longer than the queues keep their messages, which may bring it again." },
	{ .key = "state_dir", PATH(struct conf_supervisor, state_dir, 2000), .def = "$STATE",
	  .text = "Where local commands leave their logs and results; on a disk of this host." },
	{ .key = "restart_delay", DURATION(struct conf_supervisor, restart_delay_ms, 10, MINUTE), .def = "100ms",
	  .text = "The pause before a dead worker is replaced; it doubles with each quick death." },
	{ .key = "restart_delay_max", DURATION(struct conf_supervisor, restart_delay_max_ms, 100, HOUR), .def = "30s",
	  .text = "Where that doubling ends." },
	{ .key = NULL },
};

static const struct conf_row log_rows[] = {
	{ .key = "level", WORD(struct conf_log, level, log_levels), .def = "info",
	  .text = "The least level that is written: "
	          "error wants a human, warn one if it repeats, info is the life of jobs and processes." },
	{ .key = "format", WORD(struct conf_log, format, log_formats), .def = "logfmt",
	  .text = "How a line is written." },
	{ .key = "to", PATH(struct conf_log, to, 4095), .words = log_targets, .def = "stderr",
	  .text = "Where lines go: standard error, syslog(3), or a file, which USR1 opens again." },
	{ .key = NULL },
};

static const struct conf_row token_rows[] = {
	{ .key = "name", TEXT(struct conf_token, name, 64), .required = true,
	  .text = "What the log calls whoever comes with this token." },
	{ .key = "token", TEXT(struct conf_token, token, 512), .required = true, .secret = true,
	  .text = "The token, of at least 16 characters." },
	{ .key = "may", TEXTS(struct conf_token, may, 3), .words = token_powers, .def = "submit, read",
	  .text = "What it is good for: submit jobs, read them and their logs, or admin: "
	          "cancel, retry and unlock what others have submitted." },
	{ .key = "projects", TEXTS(struct conf_token, projects, LIMIT_CONF_ELEMENTS), .def = "*",
	  .text = "Globs of the projects that it is good for." },
	{ .key = "rate", UINT(struct conf_token, rate, 1, 100000), .zero = "no limit", .def = "50",
	  .text = "Requests per second; those above are told to come again later." },
	{ .key = "streams", UINT(struct conf_token, streams, 1, 100000), .zero = "no limit", .def = "100",
	  .text = "Streams of events that may be open at once, be it one job's or the dashboard's; one above is refused." },
	{ .key = NULL },
};

static const struct conf_row deploy_rows[] = {
	{ .key = "queue", TEXT(struct conf_deploy, queue, LIMIT_JOB_NAME_BYTES),
	  .text = "The queue that POST /deploy submits to; without it the queue of POST /v1/jobs." },
	{ .key = "deployer", TEXT(struct conf_deploy, deployer, LIMIT_JOB_NAME_BYTES),
	  .text = "The deployer of its jobs; without it the queue's default." },
	{ .key = NULL },
};

static const struct conf_row tls_rows[] = {
	{ .key = "certificate", PATH(struct conf_tls, certificate, 4095), .relative = true,
	  .text = "A PEM file with the certificate and those that lead to its root; read at each reload. "
	          "With it, all but Unix sockets speak TLS." },
	{ .key = "key", PATH(struct conf_tls, key, 4095), .relative = true,
	  .text = "The PEM file with its private key." },
	{ .key = NULL },
};

static const struct conf_row api_rows[] = {
	{ .key = "listen", TEXTS(struct conf_api, listen, LIMIT_CONF_LISTENERS),
	  .def = "127.0.0.1:7777, unix:$RUN/api.sock",
	  .text = "Where HTTP is heard: ADDRESS:PORT, [ADDRESS]:PORT or unix:/path. Names of hosts are not looked up. "
	          "On a Unix socket, root and the user of gantryd need no token. "
	          "Sockets stay open over reloads and upgrades; one that is new is bound at a reload." },
	{ .key = "url", URL(struct conf_api, url, http_schemes),
	  .text = "Where people reach the API, such as https://gantry.example.com: for the links in what is told of a "
	          "job." },
	{ .key = "tokens", LIST(struct conf_api, tokens, token_count, struct conf_token, token_rows),
	  .max = LIMIT_CONF_ELEMENTS, .text = "Who may ask what." },
	{ .key = "queue", TEXT(struct conf_api, queue, LIMIT_JOB_NAME_BYTES),
	  .text = "The queue of a job that POST /v1/jobs brings without one." },
	{ .key = "deploy", SECTION(struct conf_api, deploy, struct conf_deploy, deploy_rows),
	  .text = "Where the calls of queued-deployments clients go." },
	{ .key = "tls", SECTION(struct conf_api, tls, struct conf_tls, tls_rows),
	  .text = "Certificate and key, always both." },
	{ .key = "body_limit", SIZE(struct conf_api, body_limit_bytes, KIB, 16 * MIB), .def = "1MiB",
	  .text = "The largest body of a request." },
	{ .key = "idle_timeout", DURATION(struct conf_api, idle_timeout_ms, SECOND, HOUR), .def = "1m",
	  .text = "How long a connection may be silent before it is closed." },
	{ .key = "connections", UINT(struct conf_api, connections, 1, 100000), .def = "1000",
	  .text = "How many may be open at once." },
	{ .key = "log_retention", DURATION(struct conf_api, log_retention_ms, MINUTE, (int64_t)366 * DAY), .def = "14d",
	  .text = "How long the log and the result of a local command are kept when its job has ended; "
	          "looked after every tenth of this time, or every ten minutes." },
	{ .key = "log_size", SIZE(struct conf_api, log_size_bytes, MIB, 1024 * GIB), .zero = "no limit", .def = "0",
	  .text = "How much all these may take on this host. Above it the oldest of those whose jobs have ended go "
	          "early." },
	{ .key = NULL },
};

static const struct conf_row aws_rows[] = {
	{ .key = "region", TEXT(struct conf_aws, region, 64),
	  .text = "The region to call. "
	          "Without it: AWS_REGION, AWS_DEFAULT_REGION, the profile's, and what a queue's URL says." },
	{ .key = "profile", TEXT(struct conf_aws, profile, 128),
	  .text = "The profile of the shared AWS files; without it AWS_PROFILE, then \"default\"." },
	{ .key = "endpoint_url", URL(struct conf_aws, endpoint_url, http_schemes),
	  .text = "Where every AWS service is called, instead of at AWS." },
	{ .key = "sqs_endpoint_url", URL(struct conf_aws, sqs_endpoint_url, http_schemes),
	  .text = "The same for SQS alone; it wins over endpoint_url." },
	{ .key = "ecs_endpoint_url", URL(struct conf_aws, ecs_endpoint_url, http_schemes),
	  .text = "The same for ECS alone." },
	{ .key = "access_key", TEXT(struct conf_aws, access_key, 256),
	  .text = "The access key id, with secret_key. "
	          "Without both, credentials are found as AWS's own tools find them." },
	{ .key = "secret_key", TEXT(struct conf_aws, secret_key, 256), .secret = true,
	  .text = "The secret access key." },
	{ .key = "session_token", TEXT(struct conf_aws, session_token, LIMIT_CONF_TEXT_BYTES), .secret = true,
	  .text = "The session token that belongs to temporary keys." },
	{ .key = "run_task_rate", UINT(struct conf_aws, run_task_rate, 20, 20000), .zero = "found out", .def = "0",
	  .text = "How many tasks a second the account's quota lets be launched. Every account may launch 20 of Fargate. "
	          "That is where the rate begins without this; it doubles each second while launches wait and AWS refuses "
	          "none, and what was found out stays in the store. With this it begins here, and looks at the tasks "
	          "begin at a twentieth of it. When AWS refuses launches for their rate it is halved all the same, down "
	          "to 20, and begins here again when ten minutes have passed without that." },
	{ .key = NULL },
};

static const struct conf_row ecs_rows[] = {
	{ .key = "events", TEXT(struct conf_ecs, events, LIMIT_JOB_NAME_BYTES),
	  .text = "The name of a queue of type sqs that EventBridge feeds with \"ECS Task State Change\" events. "
	          "It carries no jobs then. Tasks are heard of at once and asked after only now and then." },
	{ .key = NULL },
};

static const struct conf_row queue_rows[] = {
	{ .key = "type", ENUM(struct conf_queue, type, queue_types), .required = true,
	  .text = "What kind of queue this is." },
	{ .key = "url", URL(struct conf_queue, url, redis_schemes), .required = true, .secret = true, .of = "redis",
	  .text = "The server, as for errors. With Sentinels it is "
	          "the master that they name, whose user and password these are; what a replica had not "
	          "heard of yet "
	          "when it became the master is taken again. "
	          "Jobs survive a crash of it as far as its data does: "
	          "appendonly with appendfsync always loses nothing." },
	{ .key = "url", URL(struct conf_queue, url, http_schemes), .required = true, .of = "sqs",
	  .text = "The queue's URL, as SQS gives it. "
	          "A name that ends in .fifo is a FIFO queue, whose groups are kept in order." },
	{ .key = "url", URL(struct conf_queue, url, redis_schemes), .required = true, .secret = true, .of = "redis-stream",
	  .text = "As for redis." },
	{ .key = "stream", TEXT(struct conf_queue, list, 512), .required = true, .of = "redis-stream",
	  .text = "The stream's key. A consumer group of it is the queue: every group gets every entry once, and new "
	          "ones begin "
	          "with the stream's first. Entries left to the dead letters go to a stream whose key ends in "
	          "\":dead\". "
	          "All workers of one group must share a store." },
	{ .key = "group", TEXT(struct conf_queue, group, 128), .def = "gantry", .of = "redis-stream",
	  .text = "The consumer group. It is made when it is not there." },
	{ .key = "field", TEXT(struct conf_queue, field, 128), .def = "body", .of = "redis-stream",
	  .text = "The field of an entry that holds the message. An entry without it is taken as a JSON object of all "
	          "its fields, "
	          "each a text, for the templates of the key body." },
	{ .key = "delete", BOOL(struct conf_queue, delete_settled), .def = "false", .of = "redis-stream",
	  .text = "Whether entries are deleted when their job is over. Otherwise they stay for other groups, and "
	          "whoever adds them "
	          "has to trim the stream (XADD with MAXLEN)." },
	{ .key = "list", TEXT(struct conf_queue, list, 512), .required = true, .of = "redis",
	  .text = "The list's key. What is taken from it is kept under keys that begin with it and \":gantry:\" until "
	          "its job is "
	          "over, and what is left to the dead letters in a list whose key ends in \":dead\". "
	          "All workers that take from one list must share a store." },
	{ .key = "pop", ENUM(struct conf_queue, pop, pop_ends), .def = "right", .of = "redis",
	  .text = "The end it is taken from: right for producers that LPUSH, left for those that RPUSH, so that what "
	          "came first goes "
	          "first. Several workers take side by side, so this is the order of taking, not of a lock's waiters "
	          "to the last place." },
	{ .key = "visibility_timeout", DURATION(struct conf_queue, visibility_timeout_ms, 10 * SECOND, 12 * HOUR),
	  .def = "2m", .of = "sqs",
	  .text = "How long the queue hides a message that a worker holds. "
	          "It is renewed well ahead while the job goes on, so this is how soon the message of a lost host "
	          "comes back. "
	          "Jobs in flight keep the time they were taken with until the next renewal." },
	{ .key = "wait_time", DURATION(struct conf_queue, wait_time_ms, SECOND, 20 * SECOND), .zero = "do not wait",
	  .def = "20s", .of = "sqs",
	  .text = "How long a receive waits for messages, in whole seconds. Less costs more calls." },
	{ .key = "delete_linger", DURATION(struct conf_queue, delete_linger_ms, 0, 5 * SECOND), .def = "100ms",
	  .of = "sqs",
	  .text = "How long the deletion of a finished message waits for nine others to share its call." },
	{ .key = "max_in_flight", UINT(struct conf_queue, max_in_flight, 1, 10000), .def = "1000",
	  .text = "How many of the queue's messages one worker holds at once, waiting ones included." },
	{ .key = "warn_depth", UINT(struct conf_queue, warn_depth, 1, 1000000000), .zero = "never", .def = "0",
	  .text = "With this many messages that wait, the log says so, and again when there are a tenth less." },
	{ .key = "alarm_depth", UINT(struct conf_queue, alarm_depth, 1, 1000000000), .zero = "never", .def = "0",
	  .text = "With this many it is an error, which is told to errors as well, and anew by each new generation of "
	          "workers that finds it so." },
	{ .key = "default_deployer", TEXT(struct conf_queue, default_deployer, LIMIT_JOB_NAME_BYTES),
	  .text = "The deployer of messages that name none. Without it each message must." },
	{ .key = "malformed", ENUM(struct conf_queue, malformed, malformed_ways), .def = "settle",
	  .text = "What becomes of a message that cannot be understood, once it is recorded: "
	          "settle deletes it, dead_letter leaves it to the queue's redrive policy." },
	{ .key = "unwrap", ENUM(struct conf_queue, unwrap, unwrap_ways), .def = "none",
	  .text = "With sns, messages come wrapped in the envelope of an SNS topic, and its inside is read. "
	          "With celery they are those of Celery's clients (protocol 2, JSON), on redis or sqs: "
	          "the task's id is the job's, its keyword arguments are the members of the message, its name and its "
	          "positional arguments are "
	          "payload.task and payload.args, and an eta is its delay." },
	{ .key = "body", TEMPLATE_PAIRS(struct conf_queue, body, 32),
	  .text = "For bodies that are no job message (see gantry(7)): "
	          "the members of one, each a template over the body." },
	{ .key = NULL },
};

static const struct conf_row network_rows[] = {
	{ .key = "subnets", TEXTS(struct conf_network, subnets, 16),
	  .text = "The subnets a task may run in; Fargate needs them." },
	{ .key = "security_groups", TEXTS(struct conf_network, security_groups, 5),
	  .text = "Its security groups; without them the VPC's default group." },
	{ .key = "assign_public_ip", BOOL(struct conf_network, assign_public_ip), .def = "false",
	  .text = "Whether it gets a public address." },
	{ .key = NULL },
};

static const struct conf_row allow_rows[] = {
	{ .key = "environment", TEXTS(struct job_allow, environment, LIMIT_CONF_ELEMENTS),
	  .text = "Globs of the environment names that a message may set." },
	{ .key = "command", BOOL(struct job_allow, command), .def = "false",
	  .text = "Whether it may replace the command." },
	{ .key = "directory", TEXTS(struct job_allow, directory, LIMIT_CONF_ELEMENTS),
	  .text = "Globs of the directories that it may choose." },
	{ .key = "notify", BOOL(struct job_allow, notify), .def = "false",
	  .text = "Whether it may add whom to tell of the result." },
	{ .key = NULL },
};

static const struct conf_row lock_rows[] = {
	{ .key = "key", TEMPLATE(struct conf_lock, key), .def = "{{ project }}",
	  .text = "Jobs with the same key run one at a time, in the order accepted, "
	          "over all deployers and queues of a store." },
	{ .key = "policy", ENUM(struct conf_lock, policy, lock_policies), .def = "queue",
	  .text = "What a job does when its key is taken: queue waits, "
	          "latest waits and takes the place of older waiting jobs of this deployer, "
	          "reject fails at once, and parallel neither takes nor waits for the key." },
	{ .key = NULL },
};

static const struct conf_row logs_rows[] = {
	{ .key = "group", TEXT(struct conf_logs, group, 512),
	  .text = "The log group, the awslogs-group of the container's logConfiguration." },
	{ .key = "prefix", TEXT(struct conf_logs, prefix, 256),
	  .text = "The awslogs-stream-prefix: the stream is PREFIX/CONTAINER/TASK-ID." },
	{ .key = "region", TEXT(struct conf_logs, region, 64),
	  .text = "The awslogs-region, where it is not the region that is called for the rest." },
	{ .key = NULL },
};

static const struct conf_row limit_rows[] = {
	{ .key = "cpu", DURATION(struct conf_limits, cpu_ms, SECOND, 7 * DAY), .zero = "no limit",
	  .text = "Processor time of each process, in whole seconds." },
	{ .key = "memory", SIZE(struct conf_limits, memory_bytes, MIB, 1024 * GIB), .zero = "no limit", .def = "0",
	  .text = "Address space of each process." },
	{ .key = "file_size", SIZE(struct conf_limits, file_size_bytes, KIB, 1024 * GIB), .zero = "no limit", .def = "0",
	  .text = "How large a file may grow that it writes." },
	{ .key = "core", SIZE(struct conf_limits, core_bytes, KIB, 1024 * GIB), .zero = "none are written", .def = "0",
	  .text = "How large a core dump may be." },
	{ .key = "files", UINT(struct conf_limits, files, 16, 1048576), .zero = "as gantryd", .def = "1024",
	  .text = "Open files of each process." },
	{ .key = "processes", UINT(struct conf_limits, processes, 1, 1048576), .zero = "no limit", .def = "0",
	  .text = "Processes of its user, whoever started them." },
	{ .key = "log", SIZE(struct conf_limits, log_bytes, KIB, 16 * GIB), .def = "64MiB",
	  .text = "How much of its output is kept. The rest is dropped, which the log's last line says; "
	          "the command goes on." },
	{ .key = NULL },
};

static const struct conf_row stage_rows[] = {
	{ .key = "refs", TEXTS(struct conf_stage, refs, LIMIT_CONF_ELEMENTS),
	  .text = "Globs of the refs that choose this stage when a message names none. "
	          "Without them its own name does, also as the last part of a ref." },
	{ .key = "environment", TEMPLATE_PAIRS(struct conf_stage, environment, LIMIT_CONF_ELEMENTS), .secret = true,
	  .kept = true, .text = "Variables that are added to, or take the place of, the deployer's." },
	{ .key = NULL },
};

static const struct conf_row deployer_rows[] = {
	{ .key = "type", ENUM(struct conf_deployer, type, deployer_types), .required = true,
	  .text = "What runs the deployment." },
	{ .key = "cluster", TEXT(struct conf_deployer, cluster, 255), .def = "default", .of = "ecs",
	  .text = "The cluster's name or ARN." },
	{ .key = "task_definition", TEXT(struct conf_deployer, task_definition, 512), .required = true, .of = "ecs",
	  .text = "The task definition: family, family:revision or ARN." },
	{ .key = "container", TEXT(struct conf_deployer, container, 255), .required = true, .of = "ecs",
	  .text = "The container that gets command and environment, and whose exit code is the result." },
	{ .key = "launch_type", WORD(struct conf_deployer, launch_type, launch_types), .of = "ecs",
	  .text = "Where tasks run. Without it and capacity_providers, the cluster decides." },
	{ .key = "capacity_providers", TEXTS(struct conf_deployer, capacity_providers, 20), .of = "ecs",
	  .text = "Capacity providers instead of a launch type, tried in this order while one has no capacity." },
	{ .key = "provisioning_timeout", DURATION(struct conf_deployer, provisioning_timeout_ms, SECOND, 7 * DAY),
	  .zero = "never", .def = "15m", .of = "ecs",
	  .text = "How long a task may take from its launch until it runs; then it is stopped and launched anew, "
	          "which uses up no attempt." },
	{ .key = "platform_version", TEXT(struct conf_deployer, platform_version, 32), .of = "ecs",
	  .text = "Fargate's platform version." },
	{ .key = "group", TEXT(struct conf_deployer, group, 255), .of = "ecs",
	  .text = "The task group; without it ECS names it after the family." },
	{ .key = "cpu", TEXT(struct conf_deployer, cpu, 32), .of = "ecs",
	  .text = "CPU units of the whole task, such as 512 or \"1 vCPU\"; without it the task definition's." },
	{ .key = "memory", TEXT(struct conf_deployer, memory, 32), .of = "ecs",
	  .text = "Its memory in MiB, such as 2048, or \"2 GB\"." },
	{ .key = "task_role", TEXT(struct conf_deployer, task_role, 2048), .of = "ecs",
	  .text = "The role that the deployment acts as, in place of the task definition's." },
	{ .key = "execution_role", TEXT(struct conf_deployer, execution_role, 2048), .of = "ecs",
	  .text = "The role that ECS starts it with, likewise." },
	{ .key = "execute_command", BOOL(struct conf_deployer, execute_command), .def = "false", .of = "ecs",
	  .text = "Whether ECS Exec may enter the task." },
	{ .key = "propagate_tags", BOOL(struct conf_deployer, propagate_tags), .def = "false", .of = "ecs",
	  .text = "Whether the task also gets the tags of its task definition." },
	{ .key = "network", SECTION(struct conf_deployer, network, struct conf_network, network_rows), .of = "ecs",
	  .text = "For task definitions with the network mode awsvpc; it has a subnet at least." },
	{ .key = "command", TEMPLATES(struct conf_deployer, command, LIMIT_CONF_ELEMENTS),
	  .text = "The command and its arguments, each a template; without it the task definition's, or commands." },
	{ .key = "commands", TEMPLATES(struct conf_deployer, process.commands, LIMIT_CONF_ELEMENTS), .of = "process",
	  .text = "Lines for /bin/sh instead of a command. Each is a shell of its own, they run in this order, and the "
	          "first that fails is the last. Values put into a line must be plain words; others are taken "
	          "from the environment, as in \"$GANTRY_PROJECT\"." },
	{ .key = "directory", TEMPLATE(struct conf_deployer, process.directory), .def = "/", .of = "process",
	  .text = "Where it runs." },
	{ .key = "user", TEXT(struct conf_deployer, process.user, 32), .of = "process",
	  .text = "Whom it runs as, with his groups. For another than gantryd's own user, gantryd must be root, or "
	          "have kept "
	          "CAP_SETUID and CAP_SETGID." },
	{ .key = "umask", TEXT(struct conf_deployer, process.umask, 4), .def = "022", .of = "process",
	  .text = "Its file mode creation mask, in octal." },
	{ .key = "kill_after", DURATION(struct conf_deployer, process.kill_after_ms, 100, HOUR), .def = "10s",
	  .of = "process", .text = "From SIGTERM to SIGKILL, when it is cancelled or has reached its timeout, "
	          "and for what it leaves running in its process group." },
	{ .key = "nice", UINT(struct conf_deployer, process.nice, 0, 19), .def = "0", .of = "process",
	  .text = "By how much it yields to other processes." },
	{ .key = "limits", SECTION(struct conf_deployer, process.limits, struct conf_limits, limit_rows), .of = "process",
	  .text = "What it may use." },
	{ .key = "parallel", UINT(struct conf_deployer, process.parallel, 1, 4096), .zero = "any number", .def = "4",
	  .of = "process", .text = "How many commands of this deployer run at once on this host; the others wait." },
	{ .key = "pass_environment", TEXTS(struct conf_deployer, process.pass_environment, LIMIT_CONF_ELEMENTS),
	  .of = "process", .text = "Names of variables that it gets from gantryd's environment. "
	          "Else it sees PATH, HOME, USER, LOGNAME, SHELL and LANG, environment below, and what gantry sets." },
	{ .key = "dotenv", TEMPLATE(struct conf_deployer, process.dotenv), .of = "process",
	  .text = "A file, in directory unless absolute, that is written before the command runs, as its user and for "
	          "him alone: "
	          "a line NAME='value' for each variable of environment, stage and message." },
	{ .key = "stages", MAP(struct conf_deployer, process.stages, process.stage_count, struct conf_stage, stage_rows),
	  .max = LIMIT_CONF_ELEMENTS, .of = "process",
	  .text = "What is different for messages with this stage, or with a ref of this name." },
	{ .key = "require_last", TEXTS(struct conf_deployer, process.require_last, LIMIT_CONF_ELEMENTS), .of = "process",
	  .text = "Globs, one of which the last command must match: a job that would, say, not restart its "
	          "service fails before its launch." },
	{ .key = "cgroup", PATH(struct conf_deployer, process.cgroup, 2000), .words = cgroup_ways, .def = "none",
	  .of = "process", .text = "A cgroup v2 directory that gantryd may write to, or auto for gantryd's own, in which each "
	          "command gets a group of its own, where the host lets it: then its daemons end with it too." },
	{ .key = "environment", TEMPLATE_PAIRS(struct conf_deployer, environment, LIMIT_CONF_ELEMENTS), .secret = true,
	  .kept = true, .text = "Variables for the deployment, each value a template." },
	{ .key = "tags", TEMPLATE_PAIRS(struct conf_deployer, tags, 50), .of = "ecs",
	  .text = "Tags for the task, each value a template." },
	{ .key = "allow", SECTION(struct conf_deployer, allow, struct job_allow, allow_rows),
	  .text = "What a message may set itself. A job that asks for more fails before its launch." },
	{ .key = "timeout", DURATION(struct conf_deployer, timeout_ms, SECOND, 7 * DAY), .zero = "never", .def = "1h",
	  .text = "From launch to end; then the deployment is stopped and has failed. "
	          "One that was launched before a reload keeps the timeout it began with." },
	{ .key = "attempts", UINT(struct conf_deployer, attempts, 1, 10), .def = "1",
	  .text = "How often a deployment that fails by itself is run, the first time included. "
	          "Capacity and throttling use up none, nor do the up to ten attempts that the infrastructure may take "
	          "away." },
	{ .key = "lock", SECTION(struct conf_deployer, lock, struct conf_lock, lock_rows),
	  .text = "What must not run at the same time." },
	{ .key = "logs", SECTION(struct conf_deployer, logs, struct conf_logs, logs_rows), .of = "ecs",
	  .text = "Where CloudWatch Logs has what tasks write: group and prefix. Without it the task definition is asked, "
	          "which needs "
	          "leave for "
	          "ecs:DescribeTaskDefinition." },
	{ .key = "mask", TEXTS(struct conf_deployer, mask, LIMIT_CONF_ELEMENTS),
	  .def = "*PASSWORD*, *PASSWD*, *SECRET*, *TOKEN*, *KEY*, *CREDENTIAL*",
	  .text = "Globs of the names of variables whose values are secrets, whatever their case: "
	          "whoever reads a log finds asterisks in their place." },
	{ .key = NULL },
};

static const struct conf_row error_rows[] = {
	{ .key = "type", ENUM(struct conf_sink, type, error_sink_types), .required = true,
	  .text = "What kind of place this is." },
	{ .key = "url", URL(struct conf_sink, url, redis_schemes), .required = true, .secret = true, .of = "redis",
	  .text = "The server: redis://[user:password@]host[:port][/database], rediss:// with TLS, unix:///path, or "
	          "redis+sentinel://[user:password@]host[:port],.../master[/database]." },
	{ .key = "channel", TEXT(struct conf_sink, channel, 512), .of = "redis",
	  .text = "The channel that errors are published to." },
	{ .key = "list", TEXT(struct conf_sink, list, 512), .of = "redis",
	  .text = "The list that they are pushed to, the newest first." },
	{ .key = "keep", UINT(struct conf_sink, keep, 1, 1000000), .def = "1000", .of = "redis",
	  .text = "How many the list keeps." },
	{ .key = NULL },
};

#define NOTICE(object, field) TEMPLATE(object, field), .words = notice_names
static const struct conf_row notify_rows[] = {
	{ .key = "type", ENUM(struct conf_sink, type, sink_types), .required = true,
	  .text = "How they are told." },
	{ .key = "name", TEXT(struct conf_sink, name, 64),
	  .text = "What deliveries, log and figures call it, of letters, digits, \"_\" and \"-\"; without it, its "
	          "type. "
	          "A delivery that waits belongs to the name, so it survives every other change." },
	{ .key = "when", TEXTS(struct conf_sink, when, 8), .words = sink_events,
	  .def = "succeeded, failed, cancelled, superseded, uncertain",
	  .text = "What is told. A job that failed as uncertain is told to who wants to hear of failed or of uncertain "
	          "ones; retrying is an attempt that has failed and is followed by another one." },
	{ .key = "url", URL(struct conf_sink, url, http_schemes), .required = true, .secret = true, .of = "webhook",
	  .text = "Where the result is posted to, as JSON (see gantry(7)), as Standard Webhooks says: "
	          "with webhook-id, which is the same in each try, webhook-timestamp, and webhook-signature. "
	          "Redirects are not followed." },
	{ .key = "url", TEXT(struct conf_sink, url, 2048), .required = true, .secret = true, .of = "slack",
	  .text = "An incoming webhook of Slack, or of whatever takes the same JSON." },
	{ .key = "url", URL(struct conf_sink, url, redis_schemes), .required = true, .secret = true, .of = "redis",
	  .text = "The server, as for errors." },
	{ .key = "url", URL(struct conf_sink, url, celery_schemes), .absent = absent_results, .required = true,
	  .secret = true, .of = "celery",
	  .text = "The result_backend of Celery's clients, a Redis or a database (as SQLAlchemy has it: db+postgresql://"
	          "[user[:password]@]host[:port]/database): AsyncResult finds PENDING, STARTED, RETRY, SUCCESS with the "
	          "job's record, FAILURE with a RuntimeError and, as its traceback, the end of the log, or REVOKED, as far "
	          "as when names them. "
	          "In a database it is the table celery_taskmeta, which is made when no client has done so yet." },
	{ .key = "secret", TEXT(struct conf_sink, secret, 512), .secret = true, .of = "webhook",
	  .text = "What posts are signed with: \"whsec_\" and base64, or any text. Without it they are not signed." },
	{ .key = "old_secret", TEXT(struct conf_sink, old_secret, 512), .secret = true, .of = "webhook",
	  .text = "A second secret, whose signature is sent as well while receivers change over." },
	{ .key = "allow_private", BOOL(struct conf_sink, allow_private), .def = "false", .of = "webhook",
	  .text = "Whether it may be at a private, link-local or loopback address, and be reached through a proxy, "
	          "behind which "
	          "nobody could tell. Without it the address is looked at when the connection is made." },
	{ .key = "allow_private", BOOL(struct conf_sink, allow_private), .def = "false", .of = "slack",
	  .text = "As for a webhook." },
	{ .key = "channel", TEXT(struct conf_sink, channel, 512), .of = "redis",
	  .text = "The channel that results are published to." },
	{ .key = "list", TEXT(struct conf_sink, list, 512), .of = "redis",
	  .text = "The list that they are pushed to, the newest first." },
	{ .key = "keep", UINT(struct conf_sink, keep, 1, 1000000), .def = "1000", .of = "redis",
	  .text = "How many the list keeps." },
	{ .key = "key", NOTICE(struct conf_sink, key), .of = "redis",
	  .text = "A key that is set to the newest result, such as \"result:{{ id }}\"." },
	{ .key = "ttl", DURATION(struct conf_sink, ttl_ms, SECOND, (int64_t)366 * DAY), .zero = "for ever", .def = "7d",
	  .of = "redis", .text = "How long that key lives." },
	{ .key = "ttl", DURATION(struct conf_sink, ttl_ms, SECOND, (int64_t)366 * DAY), .def = "1d", .of = "celery",
	  .text = "How long a result lives there, as Celery's result_expires. "
	          "In a database it lives until somebody deletes it, as Celery's celery.backend_cleanup does." },
	{ .key = "smtp", URL(struct conf_sink, smtp, smtp_schemes), .required = true, .of = "email",
	  .text = "The server that takes the mail: smtp://host[:port], or smtps:// for TLS from the first byte." },
	{ .key = "user", TEXT(struct conf_sink, user, 256), .of = "email",
	  .text = "Whom to log in as, with password." },
	{ .key = "password", TEXT(struct conf_sink, password, 512), .secret = true, .of = "email",
	  .text = "His password." },
	{ .key = "starttls", ENUM(struct conf_sink, starttls, starttls_ways), .def = "offered", .of = "email",
	  .text = "With smtp://: whether TLS begins when the server offers it, is required, or is off. "
	          "It is required at least when there is a password." },
	{ .key = "from", TEXT(struct conf_sink, from, 320), .required = true, .of = "email",
	  .text = "The sender's address." },
	{ .key = "to", TEXTS(struct conf_sink, to, 50), .required = true, .of = "email",
	  .text = "The addresses it goes to." },
	{ .key = "subject", NOTICE(struct conf_sink, subject), .of = "email",
	  .text = "The subject, without which it is one of ours." },
	{ .key = "subject", NOTICE(struct conf_sink, subject), .of = "sns",
	  .text = "The subject of the mail that SNS sends to subscribers by mail." },
	{ .key = "topic", TEXT(struct conf_sink, topic, 512), .required = true, .of = "sns",
	  .text = "The topic's ARN. The message is the JSON of a webhook, unless text is set; its attributes are "
	          "event, project, deployer, state and delivery." },
	{ .key = "group", NOTICE(struct conf_sink, group), .def = "{{ project }}", .of = "sns",
	  .text = "The message group, when the topic's name ends in .fifo; the deduplication id is the delivery's." },
	{ .key = "command", TEXTS(struct conf_sink, command, LIMIT_CONF_ELEMENTS), .required = true, .of = "exec",
	  .text = "A program, by its absolute path, and its arguments. It gets the JSON on its standard input, runs as "
	          "the user "
	          "of gantryd with PATH, HOME, LANG and GANTRY_EVENT, GANTRY_JOB, GANTRY_PROJECT and GANTRY_DELIVERY, "
	          "and has told it when it "
	          "exits with 0. What it prints goes to the log. "
	          "When its worker is killed it goes on by itself, and is run again for the same delivery." },
	{ .key = "text", NOTICE(struct conf_sink, text), .of = "email",
	  .text = "What the mail says, without which it is a text of ours." },
	{ .key = "text", NOTICE(struct conf_sink, text), .of = "slack",
	  .text = "The same for the message." },
	{ .key = "text", NOTICE(struct conf_sink, text), .of = "sns",
	  .text = "What is published instead of JSON." },
	{ .key = "rate", UINT(struct conf_sink, rate, 1, 100000), .zero = "no limit", .def = "0",
	  .text = "How many deliveries a worker begins in a minute; the others wait." },
	{ .key = "timeout", DURATION(struct conf_sink, timeout_ms, SECOND, 5 * MINUTE), .def = "15s",
	  .text = "How long one try may take." },
	{ .key = "give_up_after", DURATION(struct conf_sink, give_up_after_ms, SECOND, (int64_t)30 * DAY), .def = "1d",
	  .text = "How long a delivery that fails is tried again, with growing pauses of up to ten minutes, or as long "
	          "as the "
	          "receiver says. Then it is dead: \"gantryctl outbox\" shows it, and \"gantryctl outbox replay\" "
	          "begins anew." },
	{ .key = NULL },
};

const struct conf_row conf_schema[] = {
	{ .key = "supervisor", SECTION(struct conf, supervisor, struct conf_supervisor, supervisor_rows),
	  .text = "The master and its workers." },
	{ .key = "log", SECTION(struct conf, log, struct conf_log, log_rows),
	  .text = "What gantryd says of itself." },
	{ .key = "store", URL(struct conf, store, store_schemes), .absent = absent_stores,
	  .def = "sqlite://$STATE/gantry.db", .secret = true,
	  .text = "Where jobs are remembered: sqlite:///path, for one host; "
	          "redis://[user:password@]host[:port][/database] (rediss:// with TLS, unix:///path?db=N, or "
	          "redis+sentinel://[user:password@]host[:port],.../master[/database]), Redis 6.2 or later, "
	          "for all hosts that share it; postgresql://[user[:password]@]host[:port]/database, PostgreSQL 14 or "
	          "later, likewise, in a "
	          "schema \"gantry\" that is made there; or memory: for tests, which forgets them at the end. "
	          "A Redis that may evict keys is refused; what it may lose in a crash, as its appendonly and "
	          "appendfsync say, "
	          "is told at each start. Behind Sentinels it may lose more: replicas hear of a write after it was "
	          "answered, so what was accepted in the moments before a failover may be gone, and what was launched then "
	          "may be launched again; with min-replicas-to-write at 1 and a short min-replicas-max-lag a master that "
	          "was cut off soon takes nothing more. While the store is away nothing new is launched, what runs goes on, and "
	          "results follow." },
	{ .key = "api", OPTION(struct conf, api, struct conf_api, api_rows),
	  .text = "HTTP: submit, status, logs, events, metrics. "
	          "Without this section nothing is listened to; with it, even empty, gantry-api is started." },
	{ .key = "env_file", PATH(struct conf, env_file, 4095), .relative = true, .early = true,
	  .text = "A file of NAME=VALUE lines, read at each check, that adds what the environment does not have: "
	          "to the ${NAME} of this file and to the environment of the workers. "
	          "It may be missing. A relative path starts at the configuration's directory." },
	{ .key = "aws", SECTION(struct conf, aws, struct conf_aws, aws_rows),
	  .text = "How AWS is called." },
	{ .key = "ecs", SECTION(struct conf, ecs, struct conf_ecs, ecs_rows),
	  .text = "How ECS is followed." },
	{ .key = "queues", MAP(struct conf, queues, queue_count, struct conf_queue, queue_rows),
	  .min = 1, .max = LIMIT_CONF_ELEMENTS, .required = true,
	  .text = "Where requests come from, by name." },
	{ .key = "deployers", MAP(struct conf, deployers, deployer_count, struct conf_deployer, deployer_rows),
	  .min = 1, .max = LIMIT_CONF_ELEMENTS, .required = true,
	  .text = "What runs them, by name." },
	{ .key = "errors", LIST(struct conf, errors, error_count, struct conf_sink, error_rows), .max = 16,
	  .text = "Who is told of every error of the system, as one JSON object each." },
	{ .key = "environment", TEMPLATE_PAIRS(struct conf, environment, 1024), .secret = true, .internal = true },
	{ .key = "notify", LIST(struct conf, notify, notify_count, struct conf_sink, notify_rows), .max = 64,
	  .text = "Who is told what became of the jobs. Each is told at least once, with an id by which a repetition "
	          "is known, "
	          "however long it is away; no job waits for that. "
	          "Templates know event, id, project, deployer, queue, commit, ref, stage, state, reason, detail, "
	          "exit_code, attempt, "
	          "accepted, started, finished, host, url and log_tail." },
	{ .key = NULL },
};

const struct conf_row *conf_row_find(const struct conf_row *rows, const char *key)
{
	for (; rows->key != NULL; rows++) {
		if (strcmp(rows->key, key) == 0)
			return rows;
	}
	return NULL;
}

const struct conf_row *conf_row_at(const char *path)
{
	const struct conf_row *rows = conf_schema, *row = NULL;

	while (*path != '\0') {
		size_t len = strcspn(path, ".");
		char key[LIMIT_CONF_KEY_BYTES];

		if (rows == NULL || len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		row = conf_row_find(rows, key);
		if (row == NULL)
			return NULL;
		rows = row->rows;
		path += len + (path[len] == '.');
	}
	return row;
}

const char *conf_sink_name(const struct conf_sink *sink)
{
	return sink->name != NULL ? sink->name : sink_types[sink->type];
}

bool conf_kind_is_scalar(enum conf_kind kind)
{
	return kind <= CONF_TEMPLATE;
}

bool conf_name_is_sound(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len < LIMIT_JOB_NAME_BYTES && name[len] == '\0';
}
