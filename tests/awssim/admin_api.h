/* SPDX-License-Identifier: Apache-2.0 */
/* admin_api.h - the simulator's own calls: /_stats, /_account, /_reset, /_admin/... */
#ifndef AWSSIM_ADMIN_API_H
#define AWSSIM_ADMIN_API_H

#include "http_server.h"
#include "simulator.h"

/* True when the request was one of those, and is answered. */
bool admin_handle(struct simulator *, struct http_exchange *);

#endif
