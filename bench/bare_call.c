/* SPDX-License-Identifier: Apache-2.0 */
/* bare_call.c - see bare_call.h.
 *
 * All header lines are made with the call; date and signature, always of the same length, are written over
 * the old ones.  So a start is two digests and one HMAC, and what libcurl does. */
#include "bare_call.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum {
	STAMP_BYTES = 17,               /* "20260102T030405Z" and the NUL */
	DATE_BYTES = 8,                 /* of the stamp */
	HEX_BYTES = 2 * SHA256_DIGEST_LENGTH,
	EVENTS = 64,
	CONNECTIONS = 512,              /* kept */
	CALL_TIMEOUT_S = 60,
	LIMIT_TEXT_BYTES = 2048,        /* that is signed */
	LIMIT_ANSWER_BYTES = 24 << 20,
};

struct bare {
	struct bare_options options;
	const char *host;               /* of the endpoint, with its port */
	CURLM *multi;
	int epoll;
	long timeout_ms;                /* until libcurl wants to be called; -1: it doesn't */
	bool stopped;
	time_t stamped;                 /* what stamp says */
	char stamp[STAMP_BYTES];
};

struct bare_call {
	struct bare *bare;
	CURL *easy;
	const char *service, *target;
	struct curl_slist *headers;
	char *date, *scope_date, *signature;    /* the places in headers that change */
	char key_date[DATE_BYTES + 1];          /* what key is for */
	unsigned char key[SHA256_DIGEST_LENGTH];
	char *answer;
	size_t answer_bytes, answer_room;
	bool busy;
	bare_done_fn *done;
	void *arg;
};

/* Signing */

static void hex(const unsigned char digest[SHA256_DIGEST_LENGTH], char text[HEX_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[HEX_BYTES] = '\0';
}

static void sha256_hex(const char *text, size_t size, char out[HEX_BYTES + 1])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, size, digest);
	hex(digest, out);
}

static void hmac(const void *key, size_t key_bytes, const char *text, size_t size, unsigned char *out)
{
	if (HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text, size, out, NULL) == NULL)
		fatal("OpenSSL has no HMAC-SHA-256");
}

/* Once a day. */
static void derive_key(struct bare_call *call)
{
	const struct bare *bare = call->bare;
	char *secret;

	if (strncmp(call->key_date, bare->stamp, DATE_BYTES) == 0)
		return;
	memcpy(call->key_date, bare->stamp, DATE_BYTES);
	secret = xasprintf("AWS4%s", bare->options.secret_key);
	hmac(secret, strlen(secret), call->key_date, DATE_BYTES, call->key);
	hmac(call->key, sizeof(call->key), bare->options.region, strlen(bare->options.region), call->key);
	hmac(call->key, sizeof(call->key), call->service, strlen(call->service), call->key);
	hmac(call->key, sizeof(call->key), "aws4_request", strlen("aws4_request"), call->key);
	xfree_secret(secret);
}

static void set_stamp(struct bare *bare)
{
	time_t now = time(NULL);
	struct tm tm;

	if (now == bare->stamped)
		return;
	bare->stamped = now;
	gmtime_r(&now, &tm);
	strftime(bare->stamp, sizeof(bare->stamp), "%Y%m%dT%H%M%SZ", &tm);
}

static bool is_sqs(const struct bare_call *call)
{
	return strcmp(call->service, "sqs") == 0;
}

static const char *content_type(const struct bare_call *call)
{
	return is_sqs(call) ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
}

static const char *signed_names(const struct bare_call *call)
{
	return is_sqs(call) ? "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode"
			    : "content-type;host;x-amz-date;x-amz-target";
}

static void sign(struct bare_call *call, const char *body, size_t body_bytes)
{
	const struct bare *bare = call->bare;
	char text[LIMIT_TEXT_BYTES], digest[HEX_BYTES + 1];
	unsigned char signature[SHA256_DIGEST_LENGTH];
	int size;

	derive_key(call);
	sha256_hex(body, body_bytes, digest);
	size = snprintf(text, sizeof(text), "POST\n/\n\ncontent-type:%s\nhost:%s\nx-amz-date:%s\nx-amz-target:%s\n"
		"%s\n%s\n%s", content_type(call), bare->host, bare->stamp, call->target,
		is_sqs(call) ? "x-amzn-query-mode:true\n" : "", signed_names(call), digest);
	sha256_hex(text, (size_t)size, digest);
	size = snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%.*s/%s/%s/aws4_request\n%s", bare->stamp,
		DATE_BYTES, bare->stamp, bare->options.region, call->service, digest);
	hmac(call->key, sizeof(call->key), text, (size_t)size, signature);
	hex(signature, call->signature);
	memcpy(call->date, bare->stamp, STAMP_BYTES - 1);
	memcpy(call->scope_date, bare->stamp, DATE_BYTES);
}

/* The loop */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct bare_call *call = arg;
	size_t needed = call->answer_bytes + size * count + 1;

	if (needed > LIMIT_ANSWER_BYTES)
		return 0;
	if (needed > call->answer_room) {
		call->answer_room = 2 * needed;
		call->answer = xreallocarray(call->answer, call->answer_room, 1);
	}
	memcpy(call->answer + call->answer_bytes, bytes, size * count);
	call->answer_bytes += size * count;
	call->answer[call->answer_bytes] = '\0';
	return size * count;
}

static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct bare *bare = arg;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(bare->epoll, EPOLL_CTL_DEL, fd, &event);
	else
		epoll_ctl(bare->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	curl_multi_assign(bare->multi, fd, what == CURL_POLL_REMOVE ? NULL : bare);
	return 0;
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct bare *bare = arg;

	(void)multi;
	bare->timeout_ms = timeout_ms;
	return 0;
}

static void finish(struct bare *bare, CURL *easy, CURLcode result)
{
	struct bare_call *call;
	char *private;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	call = (struct bare_call *)private;
	curl_multi_remove_handle(bare->multi, easy);
	if (result != CURLE_OK || status != 200)
		fatal("%s: %s, status %ld: %s", call->target, curl_easy_strerror(result), status, call->answer);
	call->busy = false;
	call->done(call->arg, call, call->answer);
}

static void act(struct bare *bare, curl_socket_t fd, int what)
{
	CURLMsg *message;
	int count;

	curl_multi_socket_action(bare->multi, fd, what, &count);
	while ((message = curl_multi_info_read(bare->multi, &count)) != NULL)
		if (message->msg == CURLMSG_DONE)
			finish(bare, message->easy_handle, message->data.result);
}

void bare_run(struct bare *bare)
{
	struct epoll_event events[EVENTS];

	while (!bare->stopped) {
		int count = epoll_wait(bare->epoll, events, EVENTS, (int)bare->timeout_ms);

		if (count <= 0)
			act(bare, CURL_SOCKET_TIMEOUT, 0);
		for (int i = 0; i < count && !bare->stopped; i++)
			act(bare, events[i].data.fd, (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0)
				| (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
				| (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
	}
}

void bare_stop(struct bare *bare)
{
	bare->stopped = true;
}

struct bare *bare_create(const struct bare_options *options)
{
	struct bare *bare = xnew(struct bare);
	const char *host = strstr(options->endpoint, "://");

	curl_global_init(CURL_GLOBAL_DEFAULT);
	bare->options = *options;
	bare->host = host != NULL ? host + 3 : options->endpoint;
	bare->timeout_ms = -1;
	bare->epoll = epoll_create1(EPOLL_CLOEXEC);
	bare->multi = curl_multi_init();
	if (bare->epoll < 0 || bare->multi == NULL)
		fatal("no epoll or no libcurl");
	curl_multi_setopt(bare->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(bare->multi, CURLMOPT_SOCKETDATA, bare);
	curl_multi_setopt(bare->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(bare->multi, CURLMOPT_TIMERDATA, bare);
	curl_multi_setopt(bare->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(bare->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
	return bare;
}

void bare_destroy(struct bare *bare)
{
	if (bare == NULL)
		return;
	curl_multi_cleanup(bare->multi);
	close(bare->epoll);
	free(bare);
	curl_global_cleanup();
}

/* A call */

static void add_header(struct bare_call *call, const char *line)
{
	call->headers = curl_slist_append(call->headers, line);
	if (call->headers == NULL)
		fatal("out of memory for a request");
}

/* The line that begins with name, to write into: the list's own copy. */
static char *header_line(const struct bare_call *call, const char *name)
{
	for (struct curl_slist *at = call->headers; at != NULL; at = at->next)
		if (strncmp(at->data, name, strlen(name)) == 0)
			return at->data;
	fatal("no header %s", name);
}

/* With a date and a signature to be written over. */
static void make_headers(struct bare_call *call)
{
	const struct bare *bare = call->bare;
	char line[LIMIT_TEXT_BYTES];

	snprintf(line, sizeof(line), "Content-Type: %s", content_type(call));
	add_header(call, line);
	snprintf(line, sizeof(line), "X-Amz-Date: %016d", 0);
	add_header(call, line);
	snprintf(line, sizeof(line), "X-Amz-Target: %s", call->target);
	add_header(call, line);
	if (is_sqs(call))
		add_header(call, "x-amzn-query-mode: true");
	snprintf(line, sizeof(line), "Authorization: AWS4-HMAC-SHA256 Credential=%s/%08d/%s/%s/aws4_request, "
		"SignedHeaders=%s, Signature=%064d", bare->options.access_key, 0, bare->options.region, call->service,
		signed_names(call), 0);
	add_header(call, line);
	add_header(call, "Expect:");
	call->date = header_line(call, "X-Amz-Date") + strlen("X-Amz-Date: ");
	call->scope_date = strchr(header_line(call, "Authorization"), '/') + 1;
	call->signature = strstr(call->scope_date, "Signature=") + strlen("Signature=");
}

static void make_handle(struct bare_call *call)
{
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		fatal("out of memory for a request");
	make_headers(call);
	curl_easy_setopt(call->easy, CURLOPT_URL, call->bare->options.endpoint);
	curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT, (long)CALL_TIMEOUT_S);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, (char *)call);
}

static void end_handle(struct bare_call *call)
{
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	call->easy = NULL;
	call->headers = NULL;
}

struct bare_call *bare_call_create(struct bare *bare, const char *service, const char *target, bare_done_fn *done,
	void *arg)
{
	struct bare_call *call = xnew(struct bare_call);

	call->bare = bare;
	call->service = service;
	call->target = target;
	call->done = done;
	call->arg = arg;
	call->answer_room = 1;
	call->answer = xcalloc(1, 1);
	make_handle(call);
	return call;
}

void bare_call_destroy(struct bare_call *call)
{
	if (call == NULL)
		return;
	if (call->busy)
		curl_multi_remove_handle(call->bare->multi, call->easy);
	end_handle(call);
	OPENSSL_cleanse(call->key, sizeof(call->key));
	free(call->answer);
	free(call);
}

void bare_call_start(struct bare_call *call, const char *body)
{
	size_t body_bytes = strlen(body);

	if (call->bare->options.new_handles) {
		end_handle(call);
		make_handle(call);
	}
	set_stamp(call->bare);
	sign(call, body, body_bytes);
	call->answer_bytes = 0;
	call->answer[0] = '\0';
	call->busy = true;
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE, (long)body_bytes);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, body);
	curl_multi_add_handle(call->bare->multi, call->easy);
}

bool bare_call_busy(const struct bare_call *call)
{
	return call->busy;
}
