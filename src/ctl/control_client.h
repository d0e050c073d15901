/* SPDX-License-Identifier: Apache-2.0 */
/* control_client.h - one question to the running gantryd; see control_line.h. */
#ifndef CTL_CONTROL_CLIENT_H
#define CTL_CONTROL_CLIENT_H

#include "ctl/ctl.h"

/* Called for each data line before the end line. */
typedef void control_line_fn(void *arg, const struct control_line *line);
/* Asks and waits up to timeout_s for the end line.  The status is gantryctl's; when it is not
 * CONTROL_DONE, why says what to print. */
enum control_status control_ask(struct ctl *ctl, const char *request, double timeout_s, control_line_fn *fn, void *arg,
	struct error *why);

#endif
