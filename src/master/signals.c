/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - see signals.h.  Not ev_signal: what a handler has noted must be found again when all
 * signals are blocked just before the program replaces itself. */
#include "master/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/list.h"
#include "base/log.h"

static const char *const names[REQUESTS] = {
	[REQUEST_FAST_STOP] = "fast stop",
	[REQUEST_STOP] = "stop",
	[REQUEST_UPGRADE] = "upgrade",
	[REQUEST_RELOAD] = "reload",
	[REQUEST_SCALE_TO] = "number of workers",
	[REQUEST_SCALE_UP] = "one worker more",
	[REQUEST_SCALE_DOWN] = "one worker less",
	[REQUEST_REOPEN] = "reopen logs",
};

static const char *const phase_names[PHASES] = {
	[PHASE_STARTING] = "starting",
	[PHASE_RUNNING] = "running",
	[PHASE_RELOADING] = "reloading",
	[PHASE_UPGRADING] = "upgrading",
	[PHASE_STOPPING] = "stopping",
};

static const enum request_fate fates[REQUESTS][PHASES] = {
	[REQUEST_FAST_STOP] = {
		[PHASE_STARTING] = REQUEST_ACT, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_ACT,
		[PHASE_UPGRADING] = REQUEST_ACT, [PHASE_STOPPING] = REQUEST_ACT,
	},
	[REQUEST_STOP] = {
		[PHASE_STARTING] = REQUEST_ACT, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_ACT,
		[PHASE_UPGRADING] = REQUEST_ACT, [PHASE_STOPPING] = REQUEST_MOOT,
	},
	[REQUEST_UPGRADE] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_LATER,
		[PHASE_UPGRADING] = REQUEST_LATER, [PHASE_STOPPING] = REQUEST_IGNORE,
	},
	[REQUEST_RELOAD] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_LATER,
		[PHASE_UPGRADING] = REQUEST_LATER, [PHASE_STOPPING] = REQUEST_IGNORE,
	},
	[REQUEST_SCALE_TO] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_LATER,
		[PHASE_UPGRADING] = REQUEST_LATER, [PHASE_STOPPING] = REQUEST_IGNORE,
	},
	[REQUEST_SCALE_UP] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_LATER,
		[PHASE_UPGRADING] = REQUEST_LATER, [PHASE_STOPPING] = REQUEST_IGNORE,
	},
	[REQUEST_SCALE_DOWN] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_LATER,
		[PHASE_UPGRADING] = REQUEST_LATER, [PHASE_STOPPING] = REQUEST_IGNORE,
	},
	[REQUEST_REOPEN] = {
		[PHASE_STARTING] = REQUEST_LATER, [PHASE_RUNNING] = REQUEST_ACT, [PHASE_RELOADING] = REQUEST_ACT,
		[PHASE_UPGRADING] = REQUEST_ACT, [PHASE_STOPPING] = REQUEST_ACT,
	},
};

static const int caught[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT, SIGTTIN, SIGTTOU, SIGCHLD };
enum { CAUGHT = sizeof(caught) / sizeof(caught[0]) };

/* Written by handle(), which can be told of nothing else. */
static volatile sig_atomic_t came[CAUGHT];
static volatile sig_atomic_t wake_fd = -1;

const char *request_name(enum request request)
{
	return request < REQUESTS ? names[request] : "nothing";
}

const char *phase_name(enum phase phase)
{
	return phase < PHASES ? phase_names[phase] : "unknown";
}

enum request_fate request_fate(enum request request, enum phase phase)
{
	if (request >= REQUESTS || phase >= PHASES)
		panic("request %d in phase %d", (int)request, (int)phase);
	return fates[request][phase];
}

void requests_set(struct requests *requests, enum request request)
{
	requests->bits |= 1u << request;
}

bool requests_has(const struct requests *requests, enum request request)
{
	return (requests->bits & 1u << request) != 0;
}

void requests_set_signal(struct requests *requests, int signo, enum phase phase)
{
	switch (signo) {
	case SIGHUP:
		requests_set(requests, REQUEST_RELOAD);
		break;
	case SIGUSR1:
		requests_set(requests, REQUEST_REOPEN);
		break;
	case SIGUSR2:
		requests_set(requests, REQUEST_UPGRADE);
		break;
	case SIGTERM:
		requests_set(requests, REQUEST_STOP);
		break;
	case SIGINT:
		/* The second one is impatient: the first is being acted on, or waits to be. */
		requests_set(requests, phase == PHASE_STOPPING || requests_has(requests, REQUEST_STOP) ?
			REQUEST_FAST_STOP : REQUEST_STOP);
		break;
	case SIGQUIT:
		requests_set(requests, REQUEST_FAST_STOP);
		break;
	case SIGTTIN:
		requests_set(requests, REQUEST_SCALE_UP);
		break;
	case SIGTTOU:
		requests_set(requests, REQUEST_SCALE_DOWN);
		break;
	default:
		break;
	}
}

enum request requests_take(struct requests *requests, enum phase phase, unsigned held,
	enum request_fate *fate)
{
	for (int i = 0; i < REQUESTS; i++) {
		unsigned bit = 1u << i;

		if ((requests->bits & ~held & bit) == 0)
			continue;
		*fate = request_fate((enum request)i, phase);
		if (*fate == REQUEST_LATER)
			continue;
		requests->bits &= ~bit;
		return (enum request)i;
	}
	return REQUEST_NONE;
}

static void handle(int signo)
{
	int saved = errno;
	uint64_t one = 1;

	for (int i = 0; i < CAUGHT; i++) {
		if (caught[i] == signo)
			came[i] = 1;
	}
	/* A full counter is readable as well, so that failure loses nothing. */
	while (wake_fd >= 0 && write((int)wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

void signals_block(void)
{
	sigset_t all;

	/* The alarm of an upgrade must end a program that hangs before it has taken over. */
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

void signals_unblock(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_reset(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	signals_unblock();
}

void signals_collect(struct signals *signals)
{
	for (int i = 0; i < CAUGHT; i++) {
		if (!came[i])
			continue;
		came[i] = 0;
		signals->on_signal(signals->arg, caught[i]);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct signals *signals = container_of(io, struct signals, readable);
	uint64_t count;

	(void)loop;
	(void)revents;
	/* The counter first: a signal between the two is noted and readable again.  If it cannot be read
	 * it stays readable, and we come back. */
	if (read(signals->event_fd, &count, sizeof(count)) < 0)
		log_debug(NULL, "signal counter: %s", strerror(errno));
	signals_collect(signals);
}

void signals_start(struct signals *signals, struct ev_loop *loop, void (*on_signal)(void *arg, int signo),
	void *arg)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };

	*signals = (struct signals){ .loop = loop, .on_signal = on_signal, .arg = arg };
	signals->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signals->event_fd < 0)
		fatal("stopped: no descriptor to wait for signals: %s", strerror(errno));
	wake_fd = signals->event_fd;
	sigfillset(&action.sa_mask);
	for (int i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	ev_io_init(&signals->readable, on_readable, signals->event_fd, EV_READ);
	ev_set_priority(&signals->readable, EV_MAXPRI);
	ev_io_start(loop, &signals->readable);
	signals_unblock();
}

void signals_stop(struct signals *signals)
{
	if (signals->loop == NULL)
		return;
	ev_io_stop(signals->loop, &signals->readable);
	wake_fd = -1;
	descriptor_close(&signals->event_fd);
	signals->loop = NULL;
}
