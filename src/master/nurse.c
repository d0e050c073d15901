/* SPDX-License-Identifier: Apache-2.0 */
/* nurse.c - see nurse.h.  Which workers come from a nursery is reload.c's and child_start.c's choice. */
#include "master/nurse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/list.h"

_Static_assert((int)LIMIT_SPAWN_FDS <= (int)LIMIT_NURSERY_WORKER_FDS, "a nursery can hand on what spawn() can");

void nurse_init(struct nurse *nurse, struct ev_loop *loop, const struct log *log)
{
	*nurse = (struct nurse){
		.loop = loop, .ready_ms = NURSE_READY_MS, .answer_ms = NURSE_ANSWER_MS,
		.process_fd = -1, .channel_fd = -1,
	};
	log_init(&nurse->log, log, "nursery");
	ev_init(&nurse->readable, NULL);
	ev_init(&nurse->deadline, NULL);
}

static void stop_watching(struct nurse *nurse)
{
	ev_io_stop(nurse->loop, &nurse->readable);
	ev_timer_stop(nurse->loop, &nurse->deadline);
}

static void send_kill(const struct nurse *nurse)
{
	syscall(SYS_pidfd_send_signal, nurse->process_fd, SIGKILL, NULL, 0);
}

void nurse_end(struct nurse *nurse)
{
	stop_watching(nurse);
	if (nurse->process_fd >= 0)
		send_kill(nurse);
	if (nurse->place != NULL)
		munmap(nurse->place, sizeof(*nurse->place));
	nurse->place = NULL;
	nurse->ready = false;
	descriptor_close(&nurse->channel_fd);
	descriptor_close(&nurse->process_fd);
}

static void settle(struct nurse *nurse, const char *trouble)
{
	stop_watching(nurse);
	if (trouble != NULL) {
		log_warn(&nurse->log, "process %d: %s; workers are started without it", (int)nurse->pid, trouble);
		nurse_end(nurse);
	} else {
		log_debug(&nurse->log, "process %d is ready", (int)nurse->pid);
		nurse->ready = true;
	}
	nurse->done(nurse);
}

static const char *why(int error)
{
	return error == EPIPE || error == ECONNRESET ? "has ended" : strerror(error);
}

/* What is wrong, as it says; NULL: nothing is. */
static const char *hear(const struct nurse *nurse)
{
	struct nursery_word word;
	ssize_t n;

	do {
		n = recv(nurse->channel_fd, &word, sizeof(word), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return why(n < 0 ? errno : EPIPE);
	if (n != (ssize_t)sizeof(word))
		return "does not keep to the protocol";
	return word.error != 0 ? why(word.error) : NULL;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct nurse *nurse = container_of(io, struct nurse, readable);

	(void)loop;
	(void)revents;
	settle(nurse, hear(nurse));
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct nurse *nurse = container_of(timer, struct nurse, deadline);

	(void)loop;
	(void)revents;
	settle(nurse, "is not ready in time");
}

static void watch(struct nurse *nurse)
{
	ev_io_init(&nurse->readable, on_readable, nurse->channel_fd, EV_READ);
	ev_io_start(nurse->loop, &nurse->readable);
	ev_now_update(nurse->loop);
	ev_timer_init(&nurse->deadline, on_deadline, (double)nurse->ready_ms / 1000, 0.);
	ev_timer_start(nurse->loop, &nurse->deadline);
}

/* Memory that both see. */
static bool open_place(struct nurse *nurse, int *place_fd, struct error *err)
{
	void *place = MAP_FAILED;

	*place_fd = memfd_create("nursery", MFD_CLOEXEC);
	if (*place_fd >= 0 && ftruncate(*place_fd, sizeof(*nurse->place)) == 0)
		place = mmap(NULL, sizeof(*nurse->place), PROT_READ | PROT_WRITE, MAP_SHARED, *place_fd, 0);
	if (place != MAP_FAILED)
		nurse->place = place;
	else
		error_set_errno(err, ERROR_TEMPORARY, "shared memory");
	return place != MAP_FAILED;
}

static bool execute(struct nurse *nurse, const struct edition *edition, const struct identity *identity, int null_fd,
	int channel_fd, int place_fd, struct error *err)
{
	static char *const argv[] = { "gantry-worker", NURSERY_ARGUMENT, NULL };
	int logs = log_target_fd(&edition->log);
	struct spawn how = {
		.program_fd = edition->worker_fd, .argv = argv, .environment = edition->environment, .become = identity,
		.fds = {
			[STDIN_FILENO] = null_fd, [STDOUT_FILENO] = null_fd,
			[STDERR_FILENO] = logs >= 0 ? logs : STDERR_FILENO,
			[NURSERY_CHANNEL_FD] = channel_fd, [NURSERY_PLACE_FD] = place_fd,
		},
		.fd_count = NURSERY_FDS, .report_fd = -1,
	};

	nurse->pid = spawn(&how, err);
	if (nurse->pid < 0) {
		nurse->pid = 0;
		return false;
	}
	nurse->process_fd = (int)syscall(SYS_pidfd_open, nurse->pid, 0);
	if (nurse->process_fd < 0)
		error_set_errno(err, ERROR_TEMPORARY, "pidfd_open");
	return nurse->process_fd >= 0;
}

bool nurse_start(struct nurse *nurse, const struct edition *edition, const struct identity *identity,
	nurse_done_fn *done)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), ends[2] = { -1, -1 }, place_fd = -1;
	struct error err;
	bool ok = false;

	nurse_end(nurse);
	nurse->done = done;
	nurse->spent_s = 0;
	if (null_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		error_set_errno(&err, ERROR_TEMPORARY, "descriptors");
	else
		ok = open_place(nurse, &place_fd, &err) &&
			execute(nurse, edition, identity, null_fd, ends[1], place_fd, &err);
	nurse->channel_fd = ends[0];
	descriptor_close(&null_fd);
	descriptor_close(&ends[1]);
	descriptor_close(&place_fd);
	if (ok) {
		watch(nurse);
		return true;
	}
	log_warn(&nurse->log, "cannot be started: %s; workers are started without it", err.text);
	/* Where it runs and cannot be killed, the end of its channel ends it. */
	nurse_end(nurse);
	return false;
}

/* False when nothing has happened within the time. */
static bool poll_for(int wait_ms, struct pollfd *polls, nfds_t count)
{
	double until = clock_monotonic_s() + (double)wait_ms / 1000, left_s;
	int n;

	do {
		left_s = until - clock_monotonic_s();
		n = poll(polls, count, left_s > 0 ? (int)(left_s * 1000) + 1 : 0);
	} while (n < 0 && errno == EINTR && left_s > 0);
	return n > 0;
}

/* What is wrong; NULL: it has made one. */
static const char *wait_for_answer(const struct nurse *nurse)
{
	struct pollfd polls[] = {
		{ .fd = nurse->channel_fd, .events = POLLIN }, { .fd = nurse->process_fd, .events = POLLIN },
	};

	if (!poll_for(nurse->answer_ms, polls, 2))
		return "does not answer";
	return polls[0].revents != 0 ? hear(nurse) : "has ended";
}

/* A killed process ends at once, unless the machine is in trouble. */
static bool kill_and_wait(const struct nurse *nurse)
{
	struct pollfd end = { .fd = nurse->process_fd, .events = POLLIN };

	siginfo_t info;

	send_kill(nurse);
	if (!poll_for(nurse->answer_ms, &end, 1))
		return false;
	/* What has ended counts as a process until then, and there may be room for one more only. */
	waitid((idtype_t)P_PIDFD, (id_t)nurse->process_fd, &info, WEXITED | WNOHANG);
	return true;
}

/* A machine that swaps may take long for each of many, and the master has more to do. */
static void note_time(struct nurse *nurse, double began_s)
{
	nurse->spent_s += clock_monotonic_s() - began_s;
	if (!nurse->ready || nurse->spent_s * 1000 < nurse->answer_ms)
		return;
	log_warn(&nurse->log, "process %d has taken %.1f s so far; the other workers are started without it", (int)nurse->pid,
		nurse->spent_s);
	nurse_end(nurse);
}

bool nurse_make(struct nurse *nurse, const struct spawn *how, pid_t *pid, struct error *err)
{
	double began_s = clock_monotonic_s();
	const char *trouble;
	bool ended = false, unsaid;
	int failed;

	*pid = 0;
	if (!nurse->ready)
		return true;
	nurse->place->pid = 0;
	failed = nursery_ask(nurse->channel_fd, how->fds, how->fd_count);
	trouble = failed != 0 ? why(failed) : wait_for_answer(nurse);
	unsaid = trouble == NULL && nurse->place->pid <= 0;
	if (unsaid)
		trouble = "does not say what it has made";
	if (trouble != NULL) {
		log_warn(&nurse->log, "process %d: %s; it is killed, and workers are started without it",
			(int)nurse->pid, trouble);
		ended = kill_and_wait(nurse);
	}
	/* Only of a dead one that has not answered is it certain that what is not noted was not made. */
	*pid = (pid_t)nurse->place->pid;
	if (trouble != NULL)
		nurse_end(nurse);
	note_time(nurse, began_s);
	if (*pid > 0 || (ended && !unsaid))
		return true;
	error_set(err, ERROR_TEMPORARY, "nursery %d %s", (int)nurse->pid,
		unsaid ? "does not say what it has made" : "was killed and does not end");
	return false;
}

bool nurse_exited(const struct nurse *nurse, pid_t pid)
{
	return nurse->pid > 0 && nurse->pid == pid;
}
