/* SPDX-License-Identifier: Apache-2.0 */
/* control_client.h - one question to the running gantryd; see control_line.h. */
#ifndef CTL_CONTROL_CLIENT_H
#define CTL_CONTROL_CLIENT_H

#include <ev.h>

#include "ctl/ctl.h"

/* Called for each data line before the end line. */
typedef void control_line_fn(void *arg, const struct control_line *line);
/* Asks and waits up to timeout_s for the end line.  The status is gantryctl's; when it is not
 * CONTROL_DONE, why says what to print. */
enum control_status control_ask(struct ctl *ctl, const char *request, double timeout_s, control_line_fn *fn, void *arg,
	struct error *why);

/* The same on a loop, for whoever has more to do: path is of the socket (ctl_socket_path()).  The line function, which
 * may be NULL, is called before done; done comes once, never from inside the call. */
struct control_call;
typedef void control_done_fn(void *arg, enum control_status status, const struct error *why);
struct control_call *control_call_start(struct ev_loop *loop, const char *path, const char *request, double timeout_s,
	control_line_fn *fn, control_done_fn *done, void *arg);
/* NULL is allowed. */
void control_call_cancel(struct control_call *call);

#endif
