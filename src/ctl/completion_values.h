/* SPDX-License-Identifier: Apache-2.0 */
/* completion_values.h - what there is at the moment for a word of the command line.  Private to src/ctl. */
#ifndef CTL_COMPLETION_VALUES_H
#define CTL_COMPLETION_VALUES_H

#include "ctl/ctl.h"

/* Prints a value on each line for the word of that name (ctl_word_name()), within two seconds
 * (GANTRY_COMPLETION_WAIT) or not at all: a person waits at the prompt. */
int completion_values(struct ctl *ctl, const char *kind);

#endif
