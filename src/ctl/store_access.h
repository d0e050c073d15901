/* SPDX-License-Identifier: Apache-2.0 */
/* store_access.h - the store under gantryctl's commands.  Private to src/ctl. */
#ifndef CTL_STORE_ACCESS_H
#define CTL_STORE_ACCESS_H

#include <ev.h>

#include "base/log.h"
#include "ctl/ctl.h"
#include "store/store.h"

/* One question, or several one after the other. */
struct asking {
	struct ctl *ctl;
	struct ev_loop *loop;
	struct log log;
	struct store *store;
	char by[64];                    /* who asks, for the job's record */
	int status;                     /* enum control_status; CONTROL_FAILED until an answer says otherwise */
};

/* False after the reason was printed; asking_close() may follow either way. */
bool asking_open(struct asking *asking, struct ctl *ctl);
/* The same for questions that change nothing: no right to write is needed. */
bool asking_open_to_read(struct asking *asking, struct ctl *ctl);
/* After a call of the store was made: runs the loop until a completion ends it. */
void asking_wait(struct asking *asking);
/* For completions: prints err, or sets CONTROL_DONE; the wait is over. */
void asking_end(struct asking *asking, const struct error *err);
/* There is no such job. */
void asking_end_missing(struct asking *asking);
void asking_close(struct asking *asking);
/* Tells gantryd's workers to look now.  One that does not run is said on stderr and is no error: the
 * store remembers. */
void asking_hint(struct asking *asking);

#endif
