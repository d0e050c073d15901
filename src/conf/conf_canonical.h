/* SPDX-License-Identifier: Apache-2.0 */
/* conf_canonical.h - a configuration as the programs pass it to each other.
 *
 * Text, one value a line, in the schema's order: "queues.deployer.wait_time<TAB>20s".  Tab, newline
 * and backslash in a value are escaped; list elements are numbered ("...subnets.0"), map elements
 * named.  The first line is "gantry-configuration 1", the last "end <count of lines> <hash>", so
 * that a cut or damaged form is seen.  Defaults are written out. */
#ifndef CONF_CONF_CANONICAL_H
#define CONF_CONF_CANONICAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "conf/conf.h"

enum { LIMIT_CONF_BYTES = 4 << 20 };

/* Appends to out, whose owner looks at overflowed.  With mask it is for people: secrets are shown as
 * "********", and without the first and last line it cannot be read back. */
void conf_canonical_write(const struct conf *conf, bool mask, struct buf *out);
/* NULL with ERROR_INVALID when the text is damaged. */
struct conf *conf_canonical_read(const char *text, size_t size, struct error *err);
/* Reads it from a descriptor (sealed memory), from its start; the descriptor stays open. */
struct conf *conf_canonical_read_fd(int fd, struct error *err);
/* FNV-1a 64 of the text without its last line: which configuration a process runs. */
uint64_t conf_canonical_hash(const char *text, size_t size);

#endif
