/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.h - the SDKs' shared test cases, where they are at hand.
 *
 * They are looked for in $GANTRY_AWS_CONFORMANCE, else beside the source tree.  Tests have built-in
 * tables too, so that their absence leaves no test without cases. */
#ifndef UNIT_AWS_CONFORMANCE_H
#define UNIT_AWS_CONFORMANCE_H

#include <jansson.h>
#include <stdbool.h>

/* The folder, or NULL when it is not there. */
const char *conformance_folder(void);
/* One file of it, parsed; ends the test when it is there and broken.  NULL: not there. */
json_t *conformance_load(const char *name);

/* A scratch folder for one test program, removed with all it holds at its end. */
const char *scratch_folder(void);
/* Writes a file into it and gives its path, lent until the same name is written again. */
const char *scratch_write(const char *name, const char *text);
void scratch_remove(const char *name);
/* Takes every variable that the code under test reads out of the environment, and HOME into the scratch folder. */
void clear_environment(void);

#endif
