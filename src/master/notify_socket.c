/* SPDX-License-Identifier: Apache-2.0 */
/* notify_socket.c - see notify_socket.h.  The environment stays as it is: the program that takes over
 * in an upgrade needs it too; children do not get it. */
#include "master/notify_socket.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

enum { LIMIT_NOTIFY_BYTES = 1024 };
static const double NOTIFY_RETRY_S = 0.1;

static double watchdog_from_environment(void)
{
	const char *usec = secure_getenv("WATCHDOG_USEC");
	const char *pid = secure_getenv("WATCHDOG_PID");
	char *end;
	unsigned long long value;

	if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	errno = 0;
	value = strtoull(usec, &end, 10);
	return errno != 0 || *end != '\0' ? 0 : (double)value / 1e6;
}

/* A path, or "@" and an abstract name. */
static bool parse_address(struct notify_socket *notify, const char *text)
{
	size_t length = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || length < 2 || length >= sizeof(notify->address.sun_path))
		return false;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, text, length);
	if (text[0] == '@')
		notify->address.sun_path[0] = '\0';
	else
		length++;
	notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

/* False when its queue is full: another time. */
static bool send_now(const struct notify_socket *notify, const char *text)
{
	ssize_t n;

	do {
		n = sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
			(const struct sockaddr *)&notify->address, notify->address_size);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return false;
	if (n < 0)
		log_warn(NULL, "telling the service manager: %s", strerror(errno));
	return true;
}

static void drop_oldest(struct notify_socket *notify)
{
	free(notify->waiting[0]);
	memmove(&notify->waiting[0], &notify->waiting[1], --notify->waiting_count * sizeof(notify->waiting[0]));
}

/* A datagram socket without a peer of its own is never seen as full, so a timer has to ask. */
static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct notify_socket *notify = container_of(timer, struct notify_socket, retry);

	(void)revents;
	while (notify->waiting_count > 0 && send_now(notify, notify->waiting[0]))
		drop_oldest(notify);
	if (notify->waiting_count == 0)
		ev_timer_stop(loop, timer);
}

/* What is newer must not overtake: the last one told is what holds. */
static void keep(struct notify_socket *notify, const char *text)
{
	if (notify->waiting_count == 0)
		log_warn(NULL, "the service manager does not read what it is told; trying again");
	if (notify->waiting_count == LIMIT_NOTIFY_WAITING)
		drop_oldest(notify);
	notify->waiting[notify->waiting_count++] = xstrdup(text);
	ev_timer_again(notify->loop, &notify->retry);
}

void notify_socket_open(struct notify_socket *notify, struct ev_loop *loop)
{
	const char *text = secure_getenv("NOTIFY_SOCKET");

	*notify = (struct notify_socket){ .loop = loop, .fd = -1 };
	ev_init(&notify->retry, on_retry);
	notify->retry.repeat = NOTIFY_RETRY_S;
	if (text == NULL)
		return;
	if (!parse_address(notify, text)) {
		log_warn(NULL, "NOTIFY_SOCKET=%s is no address that is understood here; nothing is told", text);
		return;
	}
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		log_warn(NULL, "no socket to tell the service manager: %s", strerror(errno));
	else
		notify->watchdog_s = watchdog_from_environment();
}

void notify_socket_close(struct notify_socket *notify)
{
	if (notify->loop != NULL)
		ev_timer_stop(notify->loop, &notify->retry);
	while (notify->waiting_count > 0)
		drop_oldest(notify);
	descriptor_close(&notify->fd);
}

__attribute__((format(printf, 2, 3)))
static void tell(struct notify_socket *notify, const char *fmt, ...)
{
	char text[LIMIT_NOTIFY_BYTES];
	va_list args;

	if (notify->fd < 0)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (notify->waiting_count > 0 || !send_now(notify, text))
		keep(notify, text);
}

/* A newline would start another assignment. */
static void one_line(char out[LIMIT_NOTIFY_BYTES / 2], const char *text)
{
	snprintf(out, LIMIT_NOTIFY_BYTES / 2, "%s", text);
	for (char *c = out; *c != '\0'; c++) {
		if (*c == '\n')
			*c = ' ';
	}
}

void notify_ready(struct notify_socket *notify, const char *status)
{
	char line[LIMIT_NOTIFY_BYTES / 2];

	one_line(line, status);
	tell(notify, "READY=1\nSTATUS=%s", line);
}

void notify_reloading(struct notify_socket *notify)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	tell(notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000ULL + (unsigned long long)now.tv_nsec / 1000);
}

void notify_stopping(struct notify_socket *notify, const char *status)
{
	char line[LIMIT_NOTIFY_BYTES / 2];

	one_line(line, status);
	tell(notify, "STOPPING=1\nSTATUS=%s", line);
}

void notify_watchdog(struct notify_socket *notify)
{
	/* While something waits, the next one is soon enough: it would only push the others out. */
	if (notify->waiting_count == 0)
		tell(notify, "WATCHDOG=1");
}

void notify_extend(struct notify_socket *notify, double seconds)
{
	tell(notify, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)(seconds * 1e6));
}
