/* SPDX-License-Identifier: Apache-2.0 */
/* conf_secrets.h - the secrets that a configuration holds, for whoever has to keep them out of a text.
 *
 * All that the schema calls secret: keys and tokens, and of a URL its password.  Variables for deployments
 * are not told here: which of them are secrets is a matter of their names. */
#ifndef CONF_CONF_SECRETS_H
#define CONF_CONF_SECRETS_H

#include "conf/conf.h"

typedef void conf_secret_fn(void *arg, const char *secret);
/* The secrets are lent for the call. */
void conf_secrets_each(const struct conf *conf, conf_secret_fn *fn, void *arg);

#endif
