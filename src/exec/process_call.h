/* SPDX-License-Identifier: Apache-2.0 */
/* process_call.h - what a worker and gantry-shim say to each other.
 *
 * The shim gets its request as sealed memory: texts "key=value", each ended by a NUL.  Where a key may
 * come more than once the order counts.  It answers on a pipe with one word of enum shim_word's names
 * and a newline once it is decided whether the command runs, and never speaks again: the rest is in
 * the job's directory (process_dir.h).  Only constants, as the shim links nothing but libc. */
#ifndef EXEC_PROCESS_CALL_H
#define EXEC_PROCESS_CALL_H

/* The shim's descriptors; 0, 1 and 2 are /dev/null. */
enum {
	SHIM_REQUEST_FD = 3,
	SHIM_REPORT_FD,
	SHIM_SLOT_FD,                   /* a locked file of a deployer's `parallel`, held until the command is gone */
	SHIM_FDS,
};

enum {
	LIMIT_SHIM_REQUEST_BYTES = 1 << 20,
	LIMIT_SHIM_REPORT_BYTES = 512,
	LIMIT_SHIM_GROUPS = 256,        /* supplementary groups of a user */
};

#define SHIM_KEY_DIRECTORY "directory="         /* the job's directory, absolute; first of all */
#define SHIM_KEY_JOB "job="
#define SHIM_KEY_ARGUMENT "argument="           /* of the command, in order */
#define SHIM_KEY_LINE "line="                   /* of shell, in order; instead of arguments */
#define SHIM_KEY_CHDIR "chdir="
#define SHIM_KEY_ALLOWED "allowed="             /* globs that chdir must match once links are followed; none: any */
#define SHIM_KEY_ENVIRONMENT "environment="     /* NAME=VALUE; all that the command sees */
#define SHIM_KEY_DOTENV "dotenv="               /* the file to be written, from chdir on */
#define SHIM_KEY_DOTENV_LINE "dotenv_line="     /* of that file, in order */
#define SHIM_KEY_IDENTITY "identity="           /* UID:GID:GROUP,GROUP,...; without it the shim's own */
#define SHIM_KEY_UMASK "umask="                 /* octal */
#define SHIM_KEY_NICE "nice="
#define SHIM_KEY_LIMIT "limit="                 /* RESOURCE:VALUE, both numbers of setrlimit(2) */
#define SHIM_KEY_KILL_AFTER "kill_after_ms="
#define SHIM_KEY_LOG_LIMIT "log_limit="         /* bytes */
#define SHIM_KEY_CGROUP "cgroup="               /* directory to make for the command in a cgroup v2 */
#define SHIM_KEY_SLOT "slot="                   /* "1": SHIM_SLOT_FD is one */

#define SHIM_WORD_STARTED "started"             /* that it runs is on disk; it runs or is about to */
#define SHIM_WORD_AGAIN "again"                 /* it has run, or runs, by another shim */
#define SHIM_WORD_TAKEN "taken"                 /* another shim is at it: nobody knows yet */
#define SHIM_WORD_VOID "void"                   /* it was given up: it never runs */
#define SHIM_WORD_ERROR "error"                 /* with a text: nothing ran */

#endif
