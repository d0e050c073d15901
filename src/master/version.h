/* SPDX-License-Identifier: Apache-2.0 */
/* version.h - which gantry this is. */
#ifndef MASTER_VERSION_H
#define MASTER_VERSION_H

const char *version_text(void);

#endif
