/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor.h - file descriptors: close-on-exec, non-blocking, sealed memory, passing. */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

bool descriptor_set_cloexec(int fd, bool on);
bool descriptor_set_nonblocking(int fd, bool on);
/* Closes *fd if it is not negative and sets it to -1; errno is kept. */
void descriptor_close(int *fd);
/* Writes all bytes to a blocking descriptor, going on after signals. */
bool descriptor_write_all(int fd, const void *bytes, size_t size);
/* A memfd that holds bytes and can never change; close-on-exec.  -1 on error. */
int descriptor_sealed_memory(const char *name, const void *bytes, size_t size, struct error *err);
/* Reads a whole regular file or memfd from its start, whatever its offset; fails above limit.
 * The bytes are the caller's to free and terminated; size may be NULL. */
char *descriptor_read_all(int fd, size_t limit, size_t *size, struct error *err);
/* Opens path and reads it as above. */
char *descriptor_read_file(const char *path, size_t limit, size_t *size, struct error *err);

#endif
