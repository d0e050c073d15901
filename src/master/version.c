/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - see version.h; the one place that configure's header is needed. */
#include "config.h"

#include "master/version.h"

const char *version_text(void)
{
	return PACKAGE_VERSION;
}
