/* SPDX-License-Identifier: Apache-2.0 */
/* redis_adapter.c - see redis_adapter.h. */
#include "redis_adapter.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store_fixture.h"

enum { DATABASES = 1024 };

static struct redis_server server;
static bool started;
static unsigned databases;

struct redis_server *redis_adapter_server(void)
{
	if (!started) {
		started = true;
		/* What a server that is killed may lose is said at each open. */
		log_set_level(LOG_LEVEL_ERROR);
		redis_server_init(&server, false, false);
		server.keeps = true;
		redis_server_start(&server, NULL);
		redis_server_await(&server);
	}
	return &server;
}

/* Each store has a database of its own. */
static char *redis_adapter_url(char **private)
{
	redis_adapter_server();
	*private = NULL;
	if (databases == DATABASES)
		fatal("more stores than databases");
	return xasprintf("unix://%s/redis.sock?db=%u", server.folder, databases++);
}

static void redis_adapter_remove(char *private)
{
	free(private);
}

static void redis_adapter_end(void)
{
	if (started)
		redis_server_finish(&server);
	started = false;
}

const struct store_adapter store_adapter_redis = {
	"redis", redis_adapter_url, redis_adapter_remove, redis_adapter_end,
};
