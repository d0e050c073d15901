/* SPDX-License-Identifier: Apache-2.0 */
/* job_log.c - see job_log.h. */
#include "api/job_log.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "exec/process_dir.h"

static int open_file(const struct job *job, const char *name)
{
	char *directory = job->attempt.handle != NULL ? process_handle_directory(job->attempt.handle) : NULL;
	int fd = directory != NULL ? process_dir_open(directory, name) : -1;

	free(directory);
	return fd;
}

int job_log_open(const struct job *job)
{
	return open_file(job, PROCESS_LOG);
}

int job_log_open_result(const struct job *job)
{
	return open_file(job, PROCESS_RESULT);
}

int64_t job_log_size(int fd)
{
	struct stat about;

	return fd >= 0 && fstat(fd, &about) == 0 ? about.st_size : 0;
}
