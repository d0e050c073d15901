/* SPDX-License-Identifier: Apache-2.0 */
/* check_run.h - one run of gantry-check: the configuration in canonical form, or what is wrong with it. */
#ifndef MASTER_CHECK_RUN_H
#define MASTER_CHECK_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "master/errand.h"
#include "master/privileges.h"

enum { CHECK_TIMEOUT_S = 10 };

enum check_what {
	CHECK_WHOLE,
	CHECK_ONLY_USER,        /* supervisor.user, which says as whom to read the rest */
};

struct check_run;
typedef void check_run_done_fn(struct check_run *check);

struct check_run {
	struct errand errand;
	int result_fd;
	check_run_done_fn *done;
	char *text;             /* what it wrote; NULL: it failed */
	size_t size;
	char *why;              /* when it failed: its lines, without the last newline */
};

/* done() is called once from the loop, unless cancelled; it may look at text, size and why until
 * check_run_finish() or the next start. */
bool check_run_start(struct check_run *check, struct ev_loop *loop, int program_fd, const char *conf_path,
	enum check_what what, const struct identity *identity, check_run_done_fn *done, struct error *err);
void check_run_cancel(struct check_run *check);
void check_run_finish(struct check_run *check);

#endif
