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

struct conf_supervisor {
	unsigned workers;
	char *user;                     /* NULL: stay who we are */
	char *pid_file;
	char *control_socket;
	int64_t ready_timeout_ms;
	int64_t drain_timeout_ms;
	int64_t watchdog_ms;            /* 0: off */
	int64_t probation_ms;           /* after a commit; 0: off */
	unsigned old_generations;       /* that may be draining at once */
	int64_t restart_delay_ms;       /* after the first fast death */
	int64_t restart_delay_max_ms;
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
};

enum conf_queue_type { CONF_QUEUE_SQS, CONF_QUEUE_TYPES };
enum conf_malformed { CONF_MALFORMED_SETTLE, CONF_MALFORMED_DEAD_LETTER };
enum conf_unwrap { CONF_UNWRAP_NONE, CONF_UNWRAP_SNS };

struct conf_queue {
	char *name;
	enum conf_queue_type type;
	char *url;
	int64_t visibility_timeout_ms;
	int64_t wait_time_ms;
	int64_t delete_linger_ms;
	unsigned max_in_flight;         /* messages a worker holds at once */
	char *default_deployer;         /* NULL: the message must name one */
	enum conf_malformed malformed;
	enum conf_unwrap unwrap;
	struct pairs body;         /* member of the job message -> template */
};

enum conf_deployer_type { CONF_DEPLOYER_ECS, CONF_DEPLOYER_TYPES };

struct conf_network {
	struct texts subnets, security_groups;
	bool assign_public_ip;
};

struct conf_lock {
	char *key;                      /* template; the project by default */
	enum lock_policy policy;
};

struct conf_deployer {
	char *name;
	enum conf_deployer_type type;
	char *cluster;
	char *task_definition;
	char *container;                /* gets the overrides, and is the one that is judged */
	char *launch_type;              /* NULL with capacity_providers, or for the cluster's default */
	struct texts capacity_providers;         /* tried in order */
	char *platform_version;
	char *group;                    /* ECS task group; NULL: ECS's default */
	char *cpu, *memory;             /* task-level overrides, texts as ECS takes them; NULL: none */
	char *task_role, *execution_role;
	bool execute_command;           /* enableExecuteCommand */
	bool propagate_tags;            /* from the task definition */
	struct conf_network network;
	struct texts command;    /* templates; empty: the task definition's */
	struct pairs environment;  /* name -> template */
	struct pairs tags;         /* key -> template */
	struct job_allow allow;
	int64_t timeout_ms;             /* from launch to end; then it is stopped; 0: never */
	unsigned attempts;              /* runs of a deployment that itself failed, the first included */
	struct conf_lock lock;
};

enum conf_sink_type { CONF_SINK_REDIS, CONF_SINK_TYPES };

struct conf_sink {
	enum conf_sink_type type;
	char *url;                      /* may hold a password: secret */
	char *channel;                  /* NULL: not published */
	char *list;                     /* NULL: not pushed */
	unsigned keep;                  /* length the list is cut to */
};

struct conf {
	struct conf_supervisor supervisor;
	struct conf_log log;
	char *store;                    /* URL; may hold a password: secret */
	struct conf_aws aws;
	struct conf_queue *queues;
	size_t queue_count;
	struct conf_deployer *deployers;
	size_t deployer_count;
	struct conf_sink *errors;
	size_t error_count;
	char *env_file;                 /* as gantry-check opened it; NULL: none */
	struct pairs environment;       /* what env_file said and our environment lacks, for the children; secret */
};

void conf_destroy(struct conf *conf);
/* By name, or NULL. */
const struct conf_queue *conf_find_queue(const struct conf *conf, const char *name);
const struct conf_deployer *conf_find_deployer(const struct conf *conf, const char *name);

#endif
