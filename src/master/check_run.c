/* SPDX-License-Identifier: Apache-2.0 */
/* check_run.c - see check_run.h.  What comes back is copied: gantry-check could go on writing into
 * memory that it made. */
#include "master/check_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/list.h"
#include "base/mem.h"
#include "conf/conf_canonical.h"

enum { CHECK_RESULT_FD = 3 };

static void fail(struct check_run *check, const char *why)
{
	size_t length = strlen(why);

	while (length > 0 && why[length - 1] == '\n')
		length--;
	check->why = xstrndup(why, length);
}

/* What it said, or how it ended when it said nothing. */
static void explain(struct check_run *check)
{
	const struct errand *errand = &check->errand;
	char text[64];

	if (errand->timed_out)
		snprintf(text, sizeof(text), "gantry-check did not end within %d s", CHECK_TIMEOUT_S);
	else if (WIFSIGNALED(errand->status))
		snprintf(text, sizeof(text), "gantry-check was killed by signal %d", WTERMSIG(errand->status));
	else if (errand->said.size > 0)
		text[0] = '\0';
	else
		snprintf(text, sizeof(text), "gantry-check left with status %d", WEXITSTATUS(errand->status));
	fail(check, text[0] != '\0' ? text : buf_text(&errand->said));
}

static void on_done(struct errand *errand)
{
	struct check_run *check = container_of(errand, struct check_run, errand);
	struct error err;

	if (errand->timed_out || !WIFEXITED(errand->status) || WEXITSTATUS(errand->status) != 0) {
		explain(check);
	} else {
		check->text = descriptor_read_all(check->result_fd, LIMIT_CONF_BYTES, &check->size, &err);
		if (check->text == NULL)
			fail(check, err.text);
	}
	descriptor_close(&check->result_fd);
	errand_finish(errand);
	check->done(check);
}

bool check_run_start(struct check_run *check, struct ev_loop *loop, int program_fd, const char *conf_path,
	enum check_what what, const struct identity *identity, check_run_done_fn *done, struct error *err)
{
	char *const whole[] = { "gantry-check", "--fd", "3", (char *)conf_path, NULL };
	char *const only_user[] = { "gantry-check", "--only-user", (char *)conf_path, NULL };
	struct spawn how = {
		.program_fd = program_fd,
		.argv = what == CHECK_ONLY_USER ? only_user : whole,
		.environment = environ,
		.become = identity,
		.fd_count = CHECK_RESULT_FD + 1,
	};

	check_run_finish(check);
	check->done = done;
	check->result_fd = memfd_create("checked", MFD_CLOEXEC);
	if (check->result_fd < 0) {
		error_set_errno(err, ERROR_TEMPORARY, "memfd_create");
		return false;
	}
	how.fds[STDOUT_FILENO] = what == CHECK_ONLY_USER ? check->result_fd : -1;
	how.fds[CHECK_RESULT_FD] = check->result_fd;
	if (errand_start(&check->errand, loop, &how, CHECK_TIMEOUT_S, on_done, check, err))
		return true;
	descriptor_close(&check->result_fd);
	return false;
}

void check_run_cancel(struct check_run *check)
{
	if (!errand_busy(&check->errand))
		return;
	errand_cancel(&check->errand);
	descriptor_close(&check->result_fd);
}

void check_run_finish(struct check_run *check)
{
	xfree_secret(check->text);
	free(check->why);
	check->text = check->why = NULL;
	check->size = 0;
}
