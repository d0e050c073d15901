/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_process.c - fork, exec, wait.
 * The command has its own process group, so that a stop reaches what it has started itself, and
 * dies with the simulator, so that a test that was killed leaves nothing running. */
#include "ecs_process.h"

#include "list.h"
#include "xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct ecs_process {
	struct ev_loop *loop;
	ev_child child;
	ecs_process_exit_fn *exited;
	void *arg;
};

static void on_exit_status(struct ev_loop *loop, ev_child *child, int revents)
{
	struct ecs_process *process = container_of(child, struct ecs_process, child);
	int status = child->rstatus;

	(void)revents;
	ev_child_stop(loop, child);
	kill(-child->pid, SIGKILL);     /* what it left behind ends with its container */
	process->exited(process->arg,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	free(process);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
}

static void become(const struct ecs_process_plan *plan, int null_fd, int log_fd, int report_fd,
		   pid_t parent)
{
	int why;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reset_signals();
	if (getppid() == parent && dup2(null_fd, 0) == 0 && dup2(log_fd, 1) == 1 &&
	    dup2(log_fd, 2) == 2 && (plan->directory == NULL || chdir(plan->directory) == 0))
		execvpe(plan->command[0], plan->command, plan->environment);
	why = errno;
	if (write(report_fd, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

/* Forks; *why is 0 once the exec has worked. */
static pid_t launch(const struct ecs_process_plan *plan, int null_fd, int log_fd, int *why)
{
	pid_t parent = getpid(), pid;
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0) {
		*why = errno;
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become(plan, null_fd, log_fd, report[1], parent);
	close(report[1]);
	*why = pid < 0 ? errno : 0;
	if (pid > 0) {
		setpgid(pid, pid);
		if (read(report[0], why, sizeof(*why)) == (ssize_t)sizeof(*why))
			waitpid(pid, NULL, 0);
	}
	close(report[0]);
	return *why == 0 ? pid : -1;
}

struct ecs_process *ecs_process_start(struct ev_loop *loop, const struct ecs_process_plan *plan,
				      ecs_process_exit_fn *exited, void *arg, int *why)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int log_fd = plan->log_path == NULL
			     ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
			     : open(plan->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct ecs_process *process = NULL;
	pid_t pid = -1;

	*why = errno;
	if (null_fd >= 0 && log_fd >= 0)
		pid = launch(plan, null_fd, log_fd, why);
	if (null_fd >= 0)
		close(null_fd);
	if (log_fd >= 0)
		close(log_fd);
	if (pid < 0)
		return NULL;
	process = xcalloc(1, sizeof(*process));
	process->loop = loop;
	process->exited = exited;
	process->arg = arg;
	ev_child_init(&process->child, on_exit_status, pid, 0);
	ev_child_start(loop, &process->child);
	return process;
}

void ecs_process_signal(struct ecs_process *process, int signal_number)
{
	kill(-process->child.pid, signal_number);
}

void ecs_process_destroy(struct ecs_process *process)
{
	if (process == NULL)
		return;
	kill(-process->child.pid, SIGKILL);
	ev_child_stop(process->loop, &process->child);
	waitpid(process->child.pid, NULL, 0);
	free(process);
}
