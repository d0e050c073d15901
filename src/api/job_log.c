/* SPDX-License-Identifier: Apache-2.0 */
/* job_log.c - see job_log.h. */
#include "api/job_log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/job_task.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/job_masks.h"
#include "exec/process_dir.h"
#include "job/job_token.h"

enum { RESPONSE_BLOCK_BYTES = 32 << 10 };

struct job_log {
	unsigned attempt;
	int64_t ended_ms;               /* steady clock: its end; 0: not known */
	int fd;                         /* a local command's; -1: task's */
	struct ecs_log_reader *task;    /* NULL: a local command's */
	struct masks *masks;
	bool over;                      /* the attempt has ended */
};

/* -- local commands --------------------------------------------------------------------------- */

/* The directory is named by the launch's token, which follows from job and attempt. */
static char *directory_of(const struct api *api, const struct job *job, unsigned attempt, const char *handle)
{
	const char *state_dir = api->conf->supervisor.state_dir;
	char *token, *directory;

	if (handle != NULL)
		return process_handle_directory(handle);
	if (attempt >= job->attempt.number || state_dir == NULL)
		return NULL;
	token = job_token(job->id, attempt, 0);
	directory = process_dir_path(state_dir, token);
	free(token);
	return directory;
}

static int open_file(const struct api *api, const struct job *job, unsigned attempt, const char *handle)
{
	char *directory = directory_of(api, job, attempt, handle);
	int fd = directory != NULL ? process_dir_open(directory, PROCESS_LOG) : -1;

	free(directory);
	return fd;
}

int job_result_open(const struct job *job)
{
	char *directory = job->attempt.handle != NULL ? process_handle_directory(job->attempt.handle) : NULL;
	int fd = directory != NULL ? process_dir_open(directory, PROCESS_RESULT) : -1;

	free(directory);
	return fd;
}

int64_t job_result_size(int fd)
{
	struct stat about;

	return fd >= 0 && fstat(fd, &about) == 0 ? about.st_size : 0;
}

/* -- life ------------------------------------------------------------------------------------- */

struct job_log *job_log_open(struct api *api, const struct job *job, unsigned attempt, const struct store_attempt *past,
	job_log_news_fn *news, void *arg)
{
	struct job_log *log = xnew(struct job_log);
	const char *handle = past != NULL ? past->handle : NULL;

	if (attempt == job->attempt.number)
		handle = job->attempt.handle;
	else if (past != NULL)
		log->ended_ms = past->ended_ms;
	log->attempt = attempt;
	log->fd = -1;
	if (job_task_is_one(handle))
		log->task = job_task_open(api, job, handle, news, arg);
	else
		log->fd = open_file(api, job, attempt, handle);
	if (log->task == NULL && log->fd < 0) {
		free(log);
		return NULL;
	}
	log->masks = job_masks(api->conf, job, NULL);
	if (log->task != NULL)
		ecs_log_follow(log->task);
	job_log_look(log, job);
	return log;
}

const struct store_attempt *job_log_past(const struct store_attempt *attempts, size_t count, unsigned attempt)
{
	const struct store_attempt *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (attempts[i].number == attempt && attempts[i].handle != NULL)
			found = &attempts[i];
	}
	return found;
}

void job_log_close(struct job_log *log)
{
	if (log == NULL)
		return;
	ecs_log_close(log->task);
	descriptor_close(&log->fd);
	masks_destroy(log->masks);
	free(log);
}

void job_log_look(struct job_log *log, const struct job *job)
{
	bool at_hand = job->attempt.number == log->attempt;

	if (log->over)
		return;
	log->over = !at_hand || job_state_final(job->state);
	if (!log->over || log->task == NULL)
		return;
	if (at_hand)
		log->ended_ms = job->finished_ms;
	ecs_log_over(log->task, log->ended_ms > 0 ? log->ended_ms : clock_steady_ms());
}

/* -- reading ---------------------------------------------------------------------------------- */

static int fd_of(const struct job_log *log)
{
	return log->task != NULL ? ecs_log_fd(log->task) : log->fd;
}

unsigned job_log_attempt(const struct job_log *log)
{
	return log->attempt;
}

bool job_log_complete(const struct job_log *log)
{
	return log->task != NULL ? ecs_log_complete(log->task) : log->over;
}

bool job_log_ended(const struct job_log *log)
{
	return log->task != NULL ? ecs_log_ended(log->task) : log->over;
}

bool job_log_fresh(const struct job_log *log)
{
	return log->task == NULL || ecs_log_fresh(log->task);
}

const struct error *job_log_trouble(const struct job_log *log)
{
	const struct error *trouble = log->task != NULL ? ecs_log_trouble(log->task) : NULL;

	return trouble != NULL && trouble->kind != ERROR_NONE ? trouble : NULL;
}

static int64_t raw_size(const struct job_log *log)
{
	return log->task != NULL ? ecs_log_size(log->task) : job_result_size(log->fd);
}

int64_t job_log_size(const struct job_log *log)
{
	char end[LIMIT_MASK_PIECE_BYTES];
	size_t longest = masks_longest(log->masks);
	int64_t size = raw_size(log), from = size > (int64_t)longest ? size - (int64_t)longest : 0;
	ssize_t n;

	if (longest == 0 || size == 0 || job_log_complete(log))
		return size;
	n = pread(fd_of(log), end, (size_t)(size - from), from);
	return n > 0 ? from + n - (int64_t)masks_open_end(log->masks, end, (size_t)n) : size;
}

/* A window that reaches beyond both ends tells which of the bytes are covered. */
static ssize_t read_masked(int fd, struct masks *masks, char *bytes, size_t size, int64_t offset)
{
	size_t beyond = masks_longest(masks) - 1;
	size_t before = offset < (int64_t)beyond ? (size_t)offset : beyond;
	char *window = xcalloc(1, before + size + beyond);
	ssize_t n = pread(fd, window, before + size + beyond, offset - (int64_t)before), got = n;

	if (n >= 0) {
		got = n > (ssize_t)before ? n - (ssize_t)before : 0;
		got = got < (ssize_t)size ? got : (ssize_t)size;
	}
	if (got > 0)
		masks_copy(masks, window, (size_t)n, before, before + (size_t)got, bytes);
	free(window);
	return got;
}

static ssize_t read_at(int fd, struct masks *masks, char *bytes, size_t size, int64_t offset)
{
	if (masks_longest(masks) == 0)
		return pread(fd, bytes, size, offset);
	return read_masked(fd, masks, bytes, size, offset);
}

ssize_t job_log_read(const struct job_log *log, char *bytes, size_t size, int64_t offset)
{
	int64_t left = job_log_size(log) - offset;

	if (left <= 0)
		return 0;
	return read_at(fd_of(log), log->masks, bytes, left < (int64_t)size ? (size_t)left : size, offset);
}

/* -- a response ------------------------------------------------------------------------------- */

struct part {
	int fd;
	struct masks *masks;
	int64_t from, to;
};

static ssize_t on_pull(void *arg, uint64_t position, char *bytes, size_t room)
{
	const struct part *part = arg;
	int64_t at = part->from + (int64_t)position, left = part->to - at;
	ssize_t n;

	if (left <= 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = read_at(part->fd, part->masks, bytes, left < (int64_t)room ? (size_t)left : room, at);
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_over(void *arg)
{
	struct part *part = arg;

	descriptor_close(&part->fd);
	masks_destroy(part->masks);
	free(part);
}

/* Without secrets the kernel sends the file by itself. */
struct MHD_Response *job_log_response(struct job_log *take_log, int64_t from, int64_t to)
{
	/* Of its own, as a task's log may be forgotten when it has no readers. */
	int fd = to > from ? fcntl(fd_of(take_log), F_DUPFD_CLOEXEC, 3) : -1;
	struct MHD_Response *response;
	struct part *part;

	if (fd < 0 && to > from) {
		response = NULL;
	} else if (fd < 0) {
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	} else if (masks_longest(take_log->masks) == 0) {
		response = MHD_create_response_from_fd_at_offset64((uint64_t)(to - from), fd, (uint64_t)from);
	} else {
		part = xnew(struct part);
		*part = (struct part){ .fd = fd, .masks = take_log->masks, .from = from, .to = to };
		take_log->masks = NULL;
		response = MHD_create_response_from_callback((uint64_t)(to - from), RESPONSE_BLOCK_BYTES, on_pull, part,
			on_over);
	}
	job_log_close(take_log);
	return response;
}
