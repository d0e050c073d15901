/* SPDX-License-Identifier: Apache-2.0 */
/* job_token.h - the idempotency token of a launch. */
#ifndef JOB_JOB_TOKEN_H
#define JOB_JOB_TOKEN_H

/* 64 hexadecimal digits: SHA-256 over job id, attempt number and fallback step, so that a launch
 * repeated after a crash says the same and no two attempts ever do.  The caller frees. */
char *job_token(const char *job_id, unsigned number, unsigned step);

#endif
