/* SPDX-License-Identifier: Apache-2.0 */
/* shim_command.c - from a fork to the command.
 *
 * Everything that may fail does so in the child, which says what and why on a pipe that a successful
 * exec closes; so the deployment's own exit status 127 is not taken for ours.
 *
 * The order matters.  The group is joined before anything else, as the guard kills only that.  The
 * parent-death signal comes after the change of user, which clears it, and is followed by a look
 * whether the parent is still there: one that died before would send none. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/shim.h"

enum { RESULT_FD = 3, NOT_RUN_STATUS = 127 };

static void fail(int error_fd, const char *what) __attribute__((noreturn));
static void fail(int error_fd, const char *what)
{
	char text[LIMIT_SHIM_TEXT_BYTES];
	int len = errno != 0 ? snprintf(text, sizeof(text), "%s: %s", what, strerror(errno)) :
		snprintf(text, sizeof(text), "%s", what);

	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (write(error_fd, text, (size_t)len) < 0)
		_exit(NOT_RUN_STATUS);
	_exit(NOT_RUN_STATUS);
}

static const char *place_descriptors(const struct shim *shim)
{
	int null_fd = open("/dev/null", O_RDONLY);

	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(shim->log.write_end, 1) < 0 || dup2(shim->log.write_end, 2) < 0)
		return "descriptors";
	if (null_fd > 2)
		close(null_fd);
	if (shim->result_fd >= 0 && dup2(shim->result_fd, RESULT_FD) < 0)
		return "descriptors";
	return NULL;
}

static const char *join(const struct shim *shim)
{
	int fd;
	bool ok;

	if (setpgid(0, shim->group) != 0)
		return "process group";
	if (shim->cgroup_fd < 0)
		return NULL;
	fd = openat(shim->cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, "0", 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok ? NULL : "cgroup";
}

static const char *limit_name(int resource)
{
	switch (resource) {
	case RLIMIT_CPU: return "limits.cpu";
	case RLIMIT_AS: return "limits.memory";
	case RLIMIT_FSIZE: return "limits.file_size";
	case RLIMIT_NOFILE: return "limits.files";
	case RLIMIT_NPROC: return "limits.processes";
	default: return "limits";
	}
}

/* A command may have more files than it begins with, as far as we may. */
static bool set_limit(const struct shim_limit *wanted)
{
	struct rlimit limit;

	if (getrlimit(wanted->resource, &limit) != 0)
		return false;
	limit.rlim_cur = wanted->value;
	if (wanted->resource != RLIMIT_NOFILE || wanted->value > limit.rlim_max)
		limit.rlim_max = wanted->value;
	return setrlimit(wanted->resource, &limit) == 0;
}

static const char *set_limits(const struct shim_request *request)
{
	for (size_t i = 0; i < request->limit_count; i++) {
		if (!set_limit(&request->limits[i]))
			return limit_name(request->limits[i].resource);
	}
	errno = 0;
	if (request->nice != 0 && nice(request->nice) == -1 && errno != 0)
		return "nice";
	umask(request->umask);
	return NULL;
}

/* Rights that gantryd was given for itself end here; root's own are what being root means. */
static const char *drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (geteuid() != 0 && syscall(SYS_capset, &header, none) != 0)
		return "capabilities";
	return NULL;
}

static const char *become(const struct shim_request *request)
{
	if (request->other_user && (setgroups(request->group_count, request->groups) != 0 ||
	    setresgid(request->gid, request->gid, request->gid) != 0 ||
	    setresuid(request->uid, request->uid, request->uid) != 0))
		return "user";
	return drop_capabilities();
}

/* A glob's part before its first wildcard, with links followed, and the rest as it is. */
static bool matches(const char *glob, const char *where)
{
	char head[PATH_MAX], real[PATH_MAX], whole[2 * PATH_MAX];
	size_t len = strcspn(glob, "*?[\\");

	if (fnmatch(glob, where, 0) == 0)
		return true;
	if (len >= sizeof(head))
		return false;
	memcpy(head, glob, len);
	head[len] = '\0';
	while (glob[len] != '\0' && len > 1 && head[len - 1] != '/')
		head[--len] = '\0';
	if (realpath(head, real) == NULL)
		return false;
	snprintf(whole, sizeof(whole), "%s%s%s", real, glob[len] != '\0' && strcmp(real, "/") != 0 ? "/" : "", glob + len);
	return fnmatch(whole, where, 0) == 0;
}

/* Where a link led to is known only now, and as the user that follows it. */
static const char *enter(const struct shim_request *request)
{
	static char text[LIMIT_SHIM_TEXT_BYTES];
	char where[PATH_MAX];

	if (chdir(request->chdir != NULL ? request->chdir : "/") != 0) {
		snprintf(text, sizeof(text), "directory %.400s", request->chdir);
		return text;
	}
	if (request->allowed.count == 0)
		return NULL;
	if (getcwd(where, sizeof(where)) == NULL)
		return "directory";
	for (size_t i = 0; i < request->allowed.count; i++) {
		if (matches(request->allowed.at[i], where))
			return NULL;
	}
	snprintf(text, sizeof(text), "directory: %.200s leads to %.200s, which allow.directory does not grant",
		request->chdir, where);
	errno = 0;
	return text;
}

static void default_signals(void)
{
	sigset_t none;

	for (int number = 1; number < _NSIG; number++) {
		if (number != SIGKILL && number != SIGSTOP)
			signal(number, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run(struct shim *shim, int error_fd, const char *line) __attribute__((noreturn));
static void run(struct shim *shim, int error_fd, const char *line)
{
	char *shell[] = { (char *)"/bin/sh", (char *)"-c", (char *)line, NULL };
	char **argv = line != NULL ? shell : shim->request.arguments.at;

	environ = shim->request.environment.at;
	default_signals();
	execvp(argv[0], argv);
	fail(error_fd, argv[0]);
}

static void become_command(struct shim *shim, int error_fd, pid_t parent, const char *line, bool dotenv)
	__attribute__((noreturn));
static void become_command(struct shim *shim, int error_fd, pid_t parent, const char *line, bool dotenv)
{
	const char *what;

	close(shim->guard_pipe);
	what = join(shim);
	if (what == NULL)
		what = place_descriptors(shim);
	if (what == NULL)
		what = set_limits(&shim->request);
	if (what == NULL)
		what = become(&shim->request);
	if (what == NULL && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		what = "parent-death signal";
	if (getppid() != parent)
		_exit(NOT_RUN_STATUS);
	if (what == NULL)
		what = enter(&shim->request);
	if (what == NULL && dotenv) {
		what = shim_dotenv_write(shim->request.dotenv, &shim->request.dotenv_lines);
		if (what == NULL)
			_exit(0);
	}
	if (what != NULL)
		fail(error_fd, what);
	run(shim, error_fd, line);
}

static bool failed(struct shim *shim, const char *what)
{
	shim->exit.how = "not_forked";
	snprintf(shim->exit.text, sizeof(shim->exit.text), "%s: %s", what, strerror(errno));
	return false;
}

bool shim_command_start(struct shim *shim, const char *line, bool dotenv)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return failed(shim, "pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	shim->command = fork();
	if (shim->command == 0)
		become_command(shim, ends[1], parent, line, dotenv);
	close(ends[1]);
	if (shim->command < 0) {
		shim->command = 0;
		close(ends[0]);
		return failed(shim, "fork");
	}
	shim->error_pipe = ends[0];
	return true;
}
