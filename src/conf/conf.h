/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - a checked configuration.
 *
 * gantry-check reads gantry.yaml, checks it and writes its canonical form (conf_canonical.h) into
 * sealed memory; every other process reads that form into this struct and never sees YAML.  A
 * struct conf does not change once it is read.  What each key means, its bounds and its default
 * stand in the one table of conf_schema.h. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/texts.h"
#include "job/job.h"

/* depth_per_worker 0: workers do not come and go by the backlog. */
struct conf_scale {
	unsigned min, max;
	unsigned depth_per_worker;
};

struct conf_supervisor {
	unsigned workers;
	char *user;                     /* NULL: stay who we are */
	char *pid_file;
	char *control_socket;
	int64_t ready_timeout_ms;
	int64_t drain_timeout_ms;
	int64_t lease_ms;               /* a worker that is silent in the store for this long loses its jobs */
	int64_t watchdog_ms;            /* 0: off */
	int64_t probation_ms;           /* after a commit; 0: off */
	unsigned old_generations;       /* that may be draining at once */
	int64_t history_ms;             /* how long a job that has ended is known; 0: for ever */
	char *state_dir;                /* where local commands leave their logs and results */
	int64_t restart_delay_ms;       /* after the first fast death */
	int64_t restart_delay_max_ms;
	int64_t depth_interval_ms;      /* between two looks at the queues' depth, where one is wanted */
	struct conf_scale scale;
};

enum conf_log_target { CONF_LOG_STDERR, CONF_LOG_SYSLOG, CONF_LOG_FILE };

struct conf_log {
	char *level;                    /* one of log.h's names */
	char *format;
	char *to;                       /* "stderr", "syslog" or an absolute path */
};

struct conf_aws {
	char *region;
	char *profile;
	char *endpoint_url, *sqs_endpoint_url, *ecs_endpoint_url;
	char *access_key;
	char *secret_key;               /* secret */
	char *session_token;            /* secret */
	unsigned run_task_rate;         /* launches a second that the account's quota allows; 0: to be found out */
};

enum conf_queue_type { CONF_QUEUE_SQS, CONF_QUEUE_REDIS, CONF_QUEUE_REDIS_STREAM, CONF_QUEUE_STORE, CONF_QUEUE_TYPES };
enum conf_pop { CONF_POP_RIGHT, CONF_POP_LEFT };
enum conf_malformed { CONF_MALFORMED_SETTLE, CONF_MALFORMED_DEAD_LETTER };
enum conf_unwrap { CONF_UNWRAP_NONE, CONF_UNWRAP_SNS, CONF_UNWRAP_CELERY };

struct conf_queue {
	char *name;
	enum conf_queue_type type;
	char *url;                      /* secret with redis */
	char *list;                     /* key of the list, or of the stream */
	enum conf_pop pop;
	char *group;                    /* of consumers, redis-stream */
	char *field;                    /* of an entry, redis-stream */
	bool delete_settled;            /* redis-stream */
	int64_t visibility_timeout_ms;
	int64_t wait_time_ms;
	int64_t delete_linger_ms;
	unsigned max_in_flight;         /* messages a worker holds at once */
	char *default_deployer;         /* NULL: the message must name one */
	unsigned warn_depth, alarm_depth;       /* of messages that wait; 0: none */
	enum conf_malformed malformed;
	enum conf_unwrap unwrap;
	struct pairs body;         /* member of the job message -> template */
};

enum conf_deployer_type { CONF_DEPLOYER_ECS, CONF_DEPLOYER_PROCESS, CONF_DEPLOYER_TYPES };

struct conf_network {
	struct texts subnets, security_groups;
	bool assign_public_ip;
};

struct conf_lock {
	char *key;                      /* template; the project by default */
	enum lock_policy policy;
};

/* Of a local command; 0: none of it. */
struct conf_limits {
	int64_t cpu_ms;                 /* processor time of each process, whole seconds */
	int64_t memory_bytes;           /* address space of each process */
	int64_t file_size_bytes;
	int64_t core_bytes;
	unsigned files;                 /* descriptors of each process */
	unsigned processes;             /* of the user, all his others included */
	int64_t log_bytes;              /* what is kept of its output */
};

/* What is added for messages of one stage. */
struct conf_stage {
	char *name;
	struct texts refs;              /* globs; a message's ref chooses it, as its stage does by name */
	struct pairs environment;       /* name -> template */
};

struct conf_process {
	struct texts commands;          /* shell lines, each a template whose values are plain words */
	char *directory;                /* template */
	struct texts pass_environment;  /* names, from gantryd's own environment */
	char *user;                     /* NULL: gantryd's */
	char *umask;                    /* octal */
	int64_t kill_after_ms;          /* from the request to end to SIGKILL */
	unsigned nice;
	struct conf_limits limits;
	unsigned parallel;              /* commands of this deployer at once on this host; 0: any number */
	char *dotenv;                   /* template; NULL: none */
	struct conf_stage *stages;
	size_t stage_count;
	struct texts require_last;      /* globs; empty: anything may be last */
	char *cgroup;                   /* "none", "auto", or a directory in a cgroup v2 */
};

/* Where the output of a deployer's tasks is, for those who must not ask for the task definition. */
struct conf_logs {
	char *group;                    /* NULL: the task definition is asked for all of it */
	char *prefix, *region;          /* region NULL: as aws.region */
};

struct conf_deployer {
	char *name;
	enum conf_deployer_type type;
	char *cluster;
	char *task_definition;
	char *container;                /* gets the overrides, and is the one that is judged */
	char *launch_type;              /* NULL with capacity_providers, or for the cluster's default */
	struct texts capacity_providers;         /* tried in order */
	int64_t provisioning_timeout_ms;        /* a task that is not running by then is stopped; 0: never */
	char *platform_version;
	char *group;                    /* ECS task group; NULL: ECS's default */
	char *cpu, *memory;             /* task-level overrides, texts as ECS takes them; NULL: none */
	char *task_role, *execution_role;
	bool execute_command;           /* enableExecuteCommand */
	bool propagate_tags;            /* from the task definition */
	struct conf_network network;
	struct conf_process process;
	struct texts command;    /* templates; empty: the task definition's, or process.commands */
	struct pairs environment;  /* name -> template */
	struct pairs tags;         /* key -> template */
	struct job_allow allow;
	int64_t timeout_ms;             /* from launch to end; then it is stopped; 0: never */
	unsigned attempts;              /* runs of a deployment that itself failed, the first included */
	struct conf_lock lock;
	struct conf_logs logs;          /* of ECS tasks */
	struct texts mask;              /* globs of variables whose values are kept out of logs */
};

enum conf_sink_type {
	CONF_SINK_REDIS, CONF_SINK_WEBHOOK, CONF_SINK_EMAIL, CONF_SINK_SNS, CONF_SINK_SLACK, CONF_SINK_EXEC,
	CONF_SINK_CELERY, CONF_SINK_TYPES
};

enum conf_starttls { CONF_STARTTLS_OFFERED, CONF_STARTTLS_REQUIRED, CONF_STARTTLS_OFF };

/* One of errors (type, url, channel, list and keep only) or of notify. */
struct conf_sink {
	enum conf_sink_type type;
	char *name;                     /* conf_sink_name(); NULL: not given */
	struct texts when;              /* events */
	unsigned rate;                  /* deliveries per minute and worker; 0: no limit */
	int64_t timeout_ms;             /* of one try */
	int64_t give_up_after_ms;
	char *url;                      /* redis, celery, webhook, slack; may hold a password: secret */

	char *channel;                  /* NULL: not published */
	char *list;                     /* NULL: not pushed */
	unsigned keep;                  /* length the list is cut to */
	char *key;                      /* template; NULL: not set */
	int64_t ttl_ms;                 /* of key; 0: for ever; of celery's, never 0 */

	char *secret, *old_secret;      /* what a webhook is signed with; NULL: not */
	bool allow_private;             /* the address may be a private one */

	char *text;                     /* template of the message in words; NULL: a text of ours */
	char *subject;                  /* template; email and sns */

	char *smtp, *user, *password;   /* password: secret */
	enum conf_starttls starttls;
	char *from;
	struct texts to;

	char *topic;                    /* ARN */
	char *group;                    /* template; of a FIFO topic */

	struct texts command;
};

struct conf_ecs {
	char *events;                   /* name of the queue that EventBridge feeds with task state changes; NULL: none */
};

struct conf_token {
	char *name;                     /* in logs and "since the last call"; the token itself is nowhere shown */
	char *token;                    /* secret */
	struct texts may;               /* of "submit", "read" and "admin" */
	struct texts projects;          /* globs of those it may see and touch */
	unsigned rate;                  /* requests per second; 0: no limit */
	unsigned streams;               /* of events, open at once; 0: no limit */
};

struct conf_deploy {
	char *queue, *deployer;         /* of POST /deploy; NULL: of POST /v1/jobs */
};

struct conf_tls {
	char *certificate, *key;        /* paths of PEM files; both or none */
};

struct conf_api {
	struct texts listen;            /* listen_address.h */
	char *url;                      /* where people reach it; NULL: not said */
	struct conf_token *tokens;
	size_t token_count;
	char *queue;                    /* of POST /v1/jobs that names none; NULL: it must */
	struct conf_deploy deploy;
	struct conf_tls tls;
	int64_t body_limit_bytes;
	int64_t idle_timeout_ms;
	unsigned connections;
	int64_t log_retention_ms;
	int64_t log_size_bytes;         /* of all that local commands have left; 0: no limit */
};

struct conf {
	struct conf_supervisor supervisor;
	struct conf_log log;
	char *store;                    /* URL; may hold a password: secret */
	struct conf_api *api;           /* NULL: nothing is heard over HTTP */
	struct conf_aws aws;
	struct conf_ecs ecs;
	struct conf_queue *queues;
	size_t queue_count;
	struct conf_deployer *deployers;
	size_t deployer_count;
	struct conf_sink *errors;
	size_t error_count;
	struct conf_sink *notify;
	size_t notify_count;
	char *env_file;                 /* as gantry-check opened it; NULL: none */
	struct pairs environment;       /* what env_file said and our environment lacks, for the children; secret */
};

void conf_destroy(struct conf *conf);
/* By name, or NULL. */
const struct conf_queue *conf_find_queue(const struct conf *conf, const char *name);
/* ecs.events names it: it brings task state changes, no jobs. */
bool conf_is_events_queue(const struct conf *conf, const char *name);
/* Its name, else its type's. */
const char *conf_sink_name(const struct conf_sink *sink);
const struct conf_deployer *conf_find_deployer(const struct conf *conf, const char *name);

#endif
