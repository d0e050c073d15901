/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs.h - the parts of the ECS adapter and what they are to each other.
 *
 *      exec_ecs_request.c      a job's parameters, frozen into one JSON text
 *      exec_ecs_launch.c       RunTask, until it is answered
 *      exec_ecs_watch.c        a task until its end, by what is seen or heard of it
 *      exec_ecs_cluster.c      DescribeTasks by the hundred
 *      exec_ecs_stop.c         StopTask, until it is answered
 *      exec_ecs_look.c         whether a launch has happened
 *      exec_ecs_verdict.c      what a task's end means; pure
 *      exec_ecs_account.c      what all deployers of a worker share: rates, and a schedule per cluster */
#ifndef EXEC_EXEC_ECS_H
#define EXEC_EXEC_ECS_H

#include <ev.h>
#include <jansson.h>

#include "aws/aws.h"
#include "aws/ecs.h"
#include "base/list.h"
#include "base/table.h"
#include "exec/exec_impl.h"
#include "exec/pace.h"
#include "exec/rate_share.h"
#include "exec/schedule.h"

struct ecs_describe;
struct ecs_watch;

enum {
	LIMIT_ECS_LAUNCHES = 64,                /* RunTask calls at once */
	LIMIT_ECS_DESCRIBES = 4,                /* DescribeTasks calls at once, per cluster */
	/* ECS knows a token for at least an hour from its launch: the caller begins within the first, and
	 * we send within the second. */
	ECS_TOKEN_LIFE_MS = 45 * 60 * 1000,
	ECS_SEND_LIFE_MS = 10 * 60 * 1000,
	ECS_STOPPED_LIFE_MS = 55 * 60 * 1000,   /* ECS: a stopped task is shown for at least an hour */
	ECS_CLOCK_SLACK_MS = 5000,              /* hosts' clocks differ by so much, at most */
	ECS_SETTLE_MS = 3000,                   /* a launch may not be seen by other calls before */
	ECS_MISSING_S = 300,                    /* a task that is not there for so long is gone */
	ECS_SWEEP_S = 300,                      /* each task is looked at so often when events tell of it */
	ECS_ACCOUNT_BYTES = 13,                 /* an account's id: 12 digits */
};

/* -- what deployers share -------------------------------------------------------------------------- */

/* Found by its struct aws, in the one list that exec_ecs_account.c keeps for the process: deployers
 * are created one by one and know only their struct aws. */
struct ecs_account {
	struct list link;               /* of that list */
	unsigned users;
	struct aws *aws;
	struct ev_loop *loop;
	struct log log;                 /* "ecs" */
	char id[ECS_ACCOUNT_BYTES];     /* "" until an ARN has told */
	struct rate_share run_rate, describe_rate;
	struct rate own_looks;          /* what this worker may take of describe_rate */
	struct list launches;           /* ecs_launch.link: waiting for the rate */
	unsigned waiting;               /* how many these are */
	unsigned launching;             /* RunTask calls under way */
	ev_timer launch_timer;
	struct list clusters;
	struct table watches;           /* ecs_watch.by_id */
	ev_timer news_timer;            /* what was heard is told in a turn of its own */
	bool *gone;                     /* set to true when it goes while watches are told */
};
struct ecs_account *ecs_account_get(const struct exec_env *env);
void ecs_account_put(struct ecs_account *account);
/* True when DescribeTasks may be called now, and counts it.  waiting: how many calls would be made now, this one
 * included.  False: *wait_s is how long until another try is worth it. */
bool ecs_account_take_describe(struct ecs_account *account, unsigned waiting, double *wait_s);
/* Whose rates these are is known by the first ARN that we see; NULL and names are allowed. */
void ecs_account_note_arn(struct ecs_account *account, const char *arn);
/* A call of this account; input is taken. */
struct aws_call *ecs_call(struct ecs_account *account, const char *action, json_t *input, aws_reply_fn *done, void *arg);
/* (Re)starts a timer that fires once after delay_s. */
void ecs_arm(struct ecs_account *account, ev_timer *timer, double delay_s);

struct ecs_cluster {
	struct list link;               /* ecs_account.clusters */
	struct ecs_account *account;
	char *name;
	struct schedule schedule;       /* ecs_watch.entry */
	unsigned watches;               /* that name this cluster; the last one frees it */
	struct list describes;          /* calls under way */
	unsigned calls;
	struct list news;               /* ecs_watch.news: to be told */
	double thin_s;                  /* when a call with few tasks went out last */
	ev_timer timer;
	unsigned failures;              /* DescribeTasks, in a row */
	double not_before_s, failing_since_s, logged_s;
	struct error error;
};

/* Looks at a task after delay_s, together with others. */
void ecs_cluster_look_in(struct ecs_watch *watch, double delay_s);
/* One watch more, and one less; the last one frees the cluster. */
struct ecs_cluster *ecs_cluster_get(struct ecs_account *account, const char *name);
void ecs_cluster_put(struct ecs_cluster *cluster);
/* A call that is under way for the watch is not for it any more. */
void ecs_describe_forget(struct ecs_watch *watch);
/* Sends what is due, as far as the rate lets it. */
void ecs_clusters_run(struct ecs_account *account);

/* -- a deployer ------------------------------------------------------------------------------------- */

struct exec_ecs {
	struct exec face;
	struct ecs_account *account;
	struct list launches;           /* ecs_launch.mine */
	struct list watches;            /* ecs_watch.mine */
	struct list looks;              /* ecs_look.mine */
	struct pace pace;
	bool events;                    /* state changes come by themselves */
};

/* exec_ecs_request.c */
char *ecs_request_build(const struct conf_deployer *conf, const struct job *job, struct error *err);
/* How many ways there are to place a task: each provider with all subnets, then each with one alone. */
unsigned ecs_request_steps(const struct conf_deployer *conf);
/* What a frozen request says, the caller's to free; NULL when it doesn't. */
char *ecs_request_cluster(const char *request);
char *ecs_request_definition(const char *request);
char *ecs_request_container(const char *request);
char *ecs_request_started_by(const char *request);

/* exec_ecs_verdict.c: how a task that has ended went; container is the judged one.  A stop by us begins with
 * "gantry: "; one because the task did not come to run begins with ecs_provisioning_stop. */
extern const char ecs_provisioning_stop[];
void ecs_verdict(const json_t *task, const char *container, struct exec_end *end);

/* exec_ecs_launch.c */
struct exec_launch *ecs_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg);
void ecs_launch_cancel(struct exec_launch *launch);
void ecs_launches_cancel(struct exec_ecs *exec);
/* Sends what waits, as far as the rate lets it. */
void ecs_launches_run(struct ecs_account *account);

/* exec_ecs_look.c */
struct ecs_look {
	struct list mine;               /* exec_ecs.looks */
	struct exec_ecs *exec;
	struct aws_call *call;
	ev_timer timer;                 /* until it begins, or is answered without a call */
	struct error error;             /* that answer */
	char *cluster, *family, *started_by;    /* of the frozen request; cluster may be NULL */
	char *page;                     /* nextToken, NULL on the first */
	int64_t intended_ms;
	unsigned pages;
	size_t asked;                   /* tasks that DescribeTasks was asked about */
	bool among_stopped;             /* the running ones have been looked through */
	exec_launched_fn *done;
	void *arg;
};
void ecs_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg);
void ecs_looks_cancel(struct exec_ecs *exec);

/* -- a watch ---------------------------------------------------------------------------------------- */

/* Few tasks are stopped. */
struct ecs_stop {
	char *reason;
	struct aws_call *call;
	ev_timer timer;                 /* until it is asked for again */
	unsigned failures;
	struct ecs_watch *watch;
};

struct ecs_watch {
	struct exec_watch face;
	struct list mine;               /* exec_ecs.watches */
	struct table_link by_id;        /* ecs_account.watches, by the last part of arn */
	struct ecs_cluster *cluster;
	struct schedule_entry entry;
	const char *arn;                /* lent by the caller */
	char *container;                /* NULL: the configured one */
	struct exec_watch_events events;
	double since_s;                 /* of the launch; monotonic, as all below */
	double missing_since_s;         /* 0: it is there */
	unsigned missing;               /* answers in a row that said so */
	bool told_running;
	bool alone;                     /* a call with it was refused as a whole */
	bool seen;                      /* by a look, at least once since events come or don't; what is heard is no look */
	bool stop_wanted;               /* by the caller, not only by us */
	bool hurry;                     /* another look has to come soon, after the call that is under way if any */
	int64_t version;                /* the highest seen; 0: none */
	struct ecs_describe *describe;  /* the call that is under way for it */
	size_t slot;
	struct list news;               /* ecs_cluster.news */
	int64_t running_ms;             /* to be told; 0: not */
	struct exec_end *end;           /* to be told */
	struct ecs_stop *stop;          /* NULL: nobody has asked for it */
};
struct exec_watch *ecs_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events);
void ecs_unwatch(struct exec_watch *watch);
bool ecs_hear(struct exec *exec, const char *handle, const json_t *doc);
void ecs_set_events(struct exec *exec, bool come);
/* Looks at it soon, whatever its age. */
void ecs_watch_hurry(struct ecs_watch *watch);
/* Seconds until this task is looked at again, as it is now. */
double ecs_watch_pace_s(const struct ecs_watch *watch, double now_s);
/* The members of DescribeTasks's answer that a watch reads (aws_request::reads), from the first to the verdict. */
extern const char *const ecs_watch_reads[];
/* What a look brought or was heard: the task.  What only a look brings: that ECS knows none; nothing (watch it
 * as before). */
void ecs_watch_take(struct ecs_watch *watch, const json_t *task, double now_s);
void ecs_watch_take_missing(struct ecs_watch *watch, double now_s);
void ecs_watch_take_nothing(struct ecs_watch *watch, double now_s);
/* Tells what was learned; the account may go in it. */
void ecs_watches_tell(struct ecs_account *account);

/* exec_ecs_stop.c */
void ecs_stop(struct exec_watch *watch, const char *reason);
/* For a reason of our own. */
void ecs_stop_begin(struct ecs_watch *watch, const char *reason);
void ecs_stop_finish(struct ecs_watch *watch);

#endif
