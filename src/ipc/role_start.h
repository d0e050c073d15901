/* SPDX-License-Identifier: Apache-2.0 */
/* role_start.h - how the long-lived children of the master begin: worker and api alike. */
#ifndef IPC_ROLE_START_H
#define IPC_ROLE_START_H

#include "conf/conf.h"
#include "ipc/heritage.h"

enum { ROLE_START_FAILED = 2 };        /* exit status */

/* Takes what the master hands over: ignores the signals that are meant for the master, reads heritage and
 * configuration, and lets log lines go where they shall.  NULL after the reason was printed; the
 * configuration is the caller's. */
struct conf *role_start(const char *program, struct heritage *heritage);

#endif
