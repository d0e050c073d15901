/* SPDX-License-Identifier: Apache-2.0 */
/* notify_socket.h - tells the service manager how we are: the sd_notify(3) protocol, a datagram a
 * message, without its library.  Without NOTIFY_SOCKET in the environment nothing is sent.  A manager
 * that is behind with its reading is told again until it takes it: it waits for READY. */
#ifndef MASTER_NOTIFY_SOCKET_H
#define MASTER_NOTIFY_SOCKET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { LIMIT_NOTIFY_WAITING = 8 };

struct notify_socket {
	struct ev_loop *loop;
	int fd;                         /* -1: nobody listens */
	struct sockaddr_un address;
	socklen_t address_size;
	double watchdog_s;              /* WATCHDOG=1 is expected this often; 0: not */
	char *waiting[LIMIT_NOTIFY_WAITING];    /* oldest first: the manager's queue was full */
	size_t waiting_count;
	ev_timer retry;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_socket_open(struct notify_socket *notify, struct ev_loop *loop);
void notify_socket_close(struct notify_socket *notify);

void notify_ready(struct notify_socket *notify, const char *status);
/* RELOADING with the time it began, which is what makes the manager wait for the READY after it. */
void notify_reloading(struct notify_socket *notify);
void notify_stopping(struct notify_socket *notify, const char *status);
void notify_watchdog(struct notify_socket *notify);
/* The start or stop under way may take this long from now. */
void notify_extend(struct notify_socket *notify, double seconds);

#endif
