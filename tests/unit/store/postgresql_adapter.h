/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_adapter.h - stores on a PostgreSQL server of this program, started with the first of them. */
#ifndef UNIT_STORE_POSTGRESQL_ADAPTER_H
#define UNIT_STORE_POSTGRESQL_ADAPTER_H

#include "postgresql_server.h"

/* Started, if it is not running. */
struct postgresql_server *postgresql_adapter_server(void);

#endif
