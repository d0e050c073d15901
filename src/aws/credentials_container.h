/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_container.h - which endpoint a container's variables name, and whether it may be asked. */
#ifndef AWS_CREDENTIALS_CONTAINER_H
#define AWS_CREDENTIALS_CONTAINER_H

#include "base/error.h"

/* The URL, the caller's to free; relative wins, one of both must be given.  https may go anywhere, http only
 * to this host.  ERROR_REFUSED: it is no URL, or not one of ours. */
char *credentials_container_url(const char *relative, const char *full, struct error *err);

#endif
