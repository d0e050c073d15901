/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h - who asks, and what for.
 *
 * A token is compared by its digest and in constant time, with every configured one, so that neither its
 * length nor its first letters can be guessed by the clock.  Over the Unix socket the kernel says who asks:
 * root and our own user may everything. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include <stdbool.h>

#include "api/request.h"
#include "conf/conf.h"

/* What a route needs; bits, of which one will do.  Admin includes the others. */
enum scope { SCOPE_NONE = 0, SCOPE_SUBMIT = 1, SCOPE_READ = 2, SCOPE_ADMIN = 4 };

struct auth;

struct auth *auth_create(const struct conf_api *conf);
void auth_destroy(struct auth *auth);
/* Finds out who asks and whether the route's scope is theirs; otherwise answers: 401 without a known token,
 * 403 without the scope, 429 above the token's rate.  The calls of queued-deployments get what their clients
 * know: 403 {"error":"Unauthorized"}. */
bool auth_admit(struct auth *auth, struct request *request);
/* How many event streams the token of who asks has open; who opens and ends them counts there.  NULL: no token. */
unsigned *auth_streams(struct auth *auth, const struct request *request);
/* The globs of the projects that who asks may see and touch; NULL: all.  Lent by the configuration. */
const struct texts *auth_projects(const struct request *request);
/* Whether who asks may see and touch that project. */
bool auth_may_project(const struct request *request, const char *project);

#endif
