/* SPDX-License-Identifier: Apache-2.0 */
/* redis_adapter.h - stores on a redis-server of this program, started with the first of them. */
#ifndef UNIT_STORE_REDIS_ADAPTER_H
#define UNIT_STORE_REDIS_ADAPTER_H

#include "../net/redis_server.h"

struct redis_server *redis_adapter_server(void);

#endif
