/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h - the list of all keys in gantry.yaml(5), from the schema. */
#ifndef CHECK_MANUAL_H
#define CHECK_MANUAL_H

/* Writes it to standard output, in mdoc. */
void manual_print(void);

#endif
