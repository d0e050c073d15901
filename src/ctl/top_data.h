/* SPDX-License-Identifier: Apache-2.0 */
/* top_data.h - what top shows: the daemon's status and the store's jobs, asked for again and again.  Private to
 * src/ctl.
 *
 * A question is asked when the one before is answered and its time has come, so a slow store makes what is
 * shown older, not the keys slower. */
#ifndef CTL_TOP_DATA_H
#define CTL_TOP_DATA_H

#include "ctl/control_client.h"
#include "ctl/store_access.h"

enum {
	TOP_LIVE_MAX = 200,             /* jobs of each state that has not ended */
	TOP_ENDED_MAX = 200,            /* among the newest jobs */
};

struct top_data {
	struct ev_loop *loop;
	struct store *store;
	char *socket_path;
	void (*changed)(void *arg);
	void *arg;

	json_t *status;                 /* status_record.h; NULL: gantryd does not answer */
	char *daemon_trouble, *store_trouble;   /* why what is shown is not new; NULL: it is */
	uint64_t counts[JOB_STATES];
	struct job **jobs;              /* without duplicates */
	size_t job_count;

	json_t *next_status;            /* being filled */
	struct control_call *call;
	struct job **next_jobs;
	size_t next_count;
	unsigned round;                 /* which list is being asked for */
	bool asking;                    /* the store will answer */
	ev_timer status_timer, store_timer;
};

/* store and loop are lent; changed is called after each answer. */
void top_data_init(struct top_data *data, struct asking *asking, void (*changed)(void *arg), void *arg);
/* After store_close(), which ends its questions. */
void top_data_finish(struct top_data *data);
/* Stops asking. */
void top_data_stop(struct top_data *data);
/* Asks now instead of at the next second: something was changed. */
void top_data_hurry(struct top_data *data);

#endif
