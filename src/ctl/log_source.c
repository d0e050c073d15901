/* SPDX-License-Identifier: Apache-2.0 */
/* log_source.c - see log_source.h. */
#include "ctl/log_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/list.h"
#include "base/mem.h"
#include "conf/job_masks.h"
#include "ctl/api_client.h"
#include "exec/process_dir.h"

enum { FILE_BLOCK_BYTES = 64 << 10, API_BLOCK_BYTES = 1 << 20 };

/* CloudWatch shows a line seconds after it was written; with nothing new for so long, the end is the end. */
static const double settle_s = 8;

struct log_source {
	struct log_source_env env;
	char *directory;                /* of a local command on this host; NULL: the API is asked */
	int fd;                         /* of its log; -1: not open yet */
	struct api_client *api;
	struct http_call *call;
	char *path;                     /* of the log in the API */
	unsigned attempt;
	int64_t offset;
	double quiet_since_s;           /* monotonic, of the first empty answer of the API; 0: none since the last bytes */
	bool told_complete;             /* the API said so */
	ev_timer soon;                  /* a file is read in the loop's next turn */
	bool ended;                     /* nothing will be added to it */
	struct masks *masks;            /* NULL without a file: the API masks by itself */
	char *window, *block;           /* what was read, with its neighbourhood; what is shown of it */
	log_source_fn *done;
	void *arg;
};

static void tell(struct log_source *source, const char *bytes, size_t size, const struct error *err)
{
	log_source_fn *done = source->done;

	source->offset += (int64_t)size;
	source->done = NULL;
	done(source->arg, bytes, size, err);
}

/* Without the beginning of a character whose end is not here: it comes with the next piece.  A few bytes alone are
 * given as they are, or what is no text at all would wait for ever. */
static size_t whole_characters(const char *bytes, size_t size)
{
	for (size_t back = 1; back <= 3 && back < size && size > 3; back++) {
		unsigned char c = (unsigned char)bytes[size - back];
		size_t wanted = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if ((c & 0xc0) != 0x80)
			return wanted > back ? size - back : size;
	}
	return size;
}

/* -- over HTTP -------------------------------------------------------------------------------- */

static void refuse(const struct http_reply *reply, struct error *err)
{
	static const char unsaid[] = "";
	json_t *doc = json_at_parse(reply->body, reply->body_bytes, NULL);
	const char *detail = json_at_string(doc, "detail"), *error = json_at_string(doc, "error");

	error_set(err, reply->status >= 500 || reply->status == 429 ? ERROR_TEMPORARY : ERROR_REFUSED,
		"gantry-api answers %ld: %s%s%s", reply->status, error != NULL ? error : unsaid,
		detail != NULL && detail[0] != '\0' ? ": " : unsaid, detail != NULL ? detail : unsaid);
	json_decref(doc);
}

static void note_quiet(struct log_source *source, const struct http_reply *reply)
{
	const char *complete = http_reply_header(reply, "X-Log-Complete");

	source->told_complete = complete != NULL && strcmp(complete, "true") == 0;
	if (source->quiet_since_s == 0)
		source->quiet_since_s = clock_monotonic_s();
}

/* An API of before knows the log of the last attempt only, which may be another one by now. */
static bool is_of_another(const struct log_source *source, const struct http_reply *reply)
{
	const char *attempt = http_reply_header(reply, "X-Job-Attempt");

	return attempt != NULL && strtoul(attempt, NULL, 10) != source->attempt;
}

static void on_reply(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct log_source *source = arg;
	struct error refused;

	source->call = NULL;
	if (err == NULL && is_of_another(source, reply)) {
		error_set(&refused, ERROR_LOST, "gantry-api has the log of the last attempt only, which is not attempt %u", source->attempt);
		tell(source, NULL, 0, &refused);
		return;
	}
	if (err != NULL) {
		struct error away = *err;

		/* Nothing is changed by a question: it may always be asked again. */
		if (away.kind == ERROR_AMBIGUOUS)
			away.kind = ERROR_TEMPORARY;
		tell(source, NULL, 0, &away);
	} else if ((reply->status == 206 || reply->status == 200) && reply->body_bytes > 0) {
		source->quiet_since_s = 0;
		tell(source, reply->body, whole_characters(reply->body, reply->body_bytes), NULL);
	} else if (reply->status == 416 || reply->status == 200) {
		note_quiet(source, reply);
		tell(source, NULL, 0, NULL);
	} else {
		refuse(reply, &refused);
		tell(source, NULL, 0, &refused);
	}
}

/* -- a file ----------------------------------------------------------------------------------- */

/* Gives the directory up for the API when we may not read what is in it. */
static void open_file(struct log_source *source)
{
	source->fd = process_dir_open(source->directory, PROCESS_LOG);
	if (source->fd < 0 && errno == EACCES) {
		free(source->directory);
		source->directory = NULL;
	}
}

/* Up to a block from the offset on, masked; what may be the beginning of a secret waits for its end. */
static ssize_t read_file(struct log_source *source)
{
	size_t longest = masks_longest(source->masks), beyond = longest > 0 ? longest - 1 : 0;
	size_t before = source->offset < (int64_t)beyond ? (size_t)source->offset : beyond;
	size_t end, shown;
	ssize_t n = pread(source->fd, source->window, before + FILE_BLOCK_BYTES + beyond, source->offset - (int64_t)before);

	if (n <= (ssize_t)before)
		return n < 0 ? n : 0;
	end = (size_t)n;
	if (end < before + FILE_BLOCK_BYTES + beyond && !source->ended)
		end -= masks_open_end(source->masks, source->window, end);
	if (end <= before)
		return 0;
	shown = end - before < FILE_BLOCK_BYTES ? end - before : FILE_BLOCK_BYTES;
	masks_copy(source->masks, source->window, (size_t)n, before, before + shown, source->block);
	return (ssize_t)shown;
}

static bool open_api(struct log_source *source, struct error *err)
{
	struct error why;

	if (source->api == NULL)
		source->api = api_client_create(source->env.conf, source->env.loop, source->env.log, &why);
	if (source->api == NULL)
		error_set(err, ERROR_REFUSED, "the log is not a file that can be read here, so gantry-api has to be asked, and %s", why.text);
	return source->api != NULL;
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct log_source *source = container_of(timer, struct log_source, soon);
	struct error err;
	ssize_t n;

	(void)loop, (void)revents;
	if (source->directory != NULL && source->fd < 0)
		open_file(source);
	if (source->directory == NULL) {
		if (open_api(source, &err))
			source->call = api_client_get(source->api, source->path, source->offset, API_BLOCK_BYTES, on_reply, source);
		else
			tell(source, NULL, 0, &err);
		return;
	}
	n = source->fd >= 0 ? read_file(source) : 0;
	if (n < 0) {
		error_set_errno(&err, ERROR_REFUSED, "%s", source->directory);
		tell(source, NULL, 0, &err);
		return;
	}
	tell(source, source->block, whole_characters(source->block, (size_t)n), NULL);
}

/* -- the port --------------------------------------------------------------------------------- */

struct log_source *log_source_create(const struct log_source_env *env, const struct job *job, unsigned attempt,
	const char *handle)
{
	struct log_source *source = xnew(struct log_source);
	char *id = api_client_escape(job->id);

	source->env = *env;
	source->directory = process_handle_directory(handle);
	source->fd = -1;
	source->attempt = attempt;
	source->path = xasprintf("/v1/jobs/%s/log?attempt=%u", id, attempt);
	source->masks = source->directory != NULL ? job_masks(env->conf, job, env->log) : NULL;
	source->window = xcalloc(1, FILE_BLOCK_BYTES + 2 * masks_longest(source->masks));
	source->block = xcalloc(1, FILE_BLOCK_BYTES);
	ev_timer_init(&source->soon, on_soon, 0., 0.);
	free(id);
	return source;
}

void log_source_destroy(struct log_source *source)
{
	if (source == NULL)
		return;
	ev_timer_stop(source->env.loop, &source->soon);
	http_call_cancel(source->call);
	api_client_destroy(source->api);
	descriptor_close(&source->fd);
	free(source->directory);
	free(source->path);
	masks_destroy(source->masks);
	free(source->window);
	free(source->block);
	free(source);
}

void log_source_pull(struct log_source *source, bool ended, log_source_fn *done, void *arg)
{
	source->ended = ended;
	source->done = done;
	source->arg = arg;
	ev_timer_stop(source->env.loop, &source->soon);
	ev_timer_set(&source->soon, 0., 0.);
	ev_timer_start(source->env.loop, &source->soon);
}

int64_t log_source_offset(const struct log_source *source)
{
	return source->offset;
}

bool log_source_complete(const struct log_source *source)
{
	if (source->directory != NULL || source->told_complete)
		return true;
	return source->quiet_since_s != 0 && clock_monotonic_s() - source->quiet_since_s > settle_s;
}
