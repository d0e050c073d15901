/* SPDX-License-Identifier: Apache-2.0 */
/* killer.c - kills a process at the entry of its n-th system call.
 *
 *      killer PID N
 *
 * Attaches to PID, waits until it is about to wait for events, writes "attached", and counts its
 * system calls from there, also across an exec.  The n-th is not carried out: the process is killed as
 * it asks for it, and "killed N NUMBER" is written, NUMBER being the call.  Told to end by a TERM
 * before that, it writes "counted COUNT NUMBER", NUMBER being the last call, and leaves the process
 * alone.  With N 0 it only counts.
 * Exit status: 0 as told, 1 the process ended by itself, 2 usage, 3 it may not be traced. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

struct victim {
	pid_t pid;
	unsigned long wanted, counted;
	unsigned long long last;        /* the system call that was counted last */
	bool counting;
};

static void say(const char *word, unsigned long count, unsigned long long number)
{
	printf("%s %lu %llu\n", word, count, number);
	fflush(stdout);
}

static bool waits(unsigned long long number)
{
	static const unsigned long long waiting[] = {
		SYS_epoll_pwait, SYS_epoll_pwait2, SYS_ppoll,
#ifdef SYS_epoll_wait
		SYS_epoll_wait, SYS_poll,
#endif
	};

	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
		if (waiting[i] == number)
			return true;
	}
	return false;
}

/* True when the process was killed. */
static bool count_entry(struct victim *victim, unsigned long long number)
{
	if (!victim->counting) {
		if (waits(number)) {
			victim->counting = true;
			say("attached", 0, number);
		}
		return false;
	}
	victim->last = number;
	if (++victim->counted != victim->wanted)
		return false;
	kill(victim->pid, SIGKILL);
	return true;
}

/* A stop of the process; true when it was killed. */
static bool handle_stop(struct victim *victim, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	struct __ptrace_syscall_info info = { .op = PTRACE_SYSCALL_INFO_NONE };
	bool stopped = event == PTRACE_EVENT_STOP && signal != SIGTRAP;
	long deliver = 0;

	if (signal == SYSCALL_STOP) {
		ptrace(PTRACE_GET_SYSCALL_INFO, victim->pid, sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && count_entry(victim, info.entry.nr))
			return true;
	} else if (event == 0) {
		deliver = signal;
	}
	ptrace(stopped ? PTRACE_LISTEN : PTRACE_SYSCALL, victim->pid, 0, deliver);
	return false;
}

/* All that has happened to the process; the exit status when that was the end, else -1. */
static int handle_events(struct victim *victim)
{
	int status;

	while (waitpid(victim->pid, &status, WNOHANG | __WALL) == victim->pid) {
		if (!WIFSTOPPED(status)) {
			say("ended", victim->counted, victim->last);
			return 1;
		}
		if (handle_stop(victim, status)) {
			waitpid(victim->pid, &status, __WALL);
			say("killed", victim->counted, victim->last);
			return 0;
		}
	}
	return -1;
}

static int run(struct victim *victim, const sigset_t *signals)
{
	int status;

	for (;;) {
		int signal = sigwaitinfo(signals, NULL);

		if (signal == SIGTERM) {
			/* The kernel lets go of the process as we end. */
			say("counted", victim->counted, victim->last);
			return 0;
		}
		status = handle_events(victim);
		if (status >= 0)
			return status;
	}
}

int main(int argc, char **argv)
{
	struct victim victim = { 0 };
	sigset_t signals;

	if (argc != 3) {
		fprintf(stderr, "usage: killer PID N\n");
		return 2;
	}
	victim.pid = (pid_t)strtol(argv[1], NULL, 10);
	victim.wanted = strtoul(argv[2], NULL, 10);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (ptrace(PTRACE_SEIZE, victim.pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC) != 0 ||
	    ptrace(PTRACE_INTERRUPT, victim.pid, 0, 0) != 0) {
		fprintf(stderr, "killer: process %d may not be traced: %s\n", (int)victim.pid, strerror(errno));
		return 3;
	}
	return run(&victim, &signals);
}
