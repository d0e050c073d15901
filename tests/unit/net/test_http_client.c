/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http_peer.h"
#include "net/http_client.h"

enum { LATE_S = 120 };           /* a test that takes this long has failed */

struct fixture {
	struct ev_loop *loop;
	struct http_client *client;
	struct http_peer peer;
	ev_timer late;
	unsigned told;
};

struct outcome {
	struct fixture *fixture;
	bool told, failed;
	struct error err;
	long status;
	char *body;
	size_t body_bytes;
	double sent_s, received_s;
	struct http_call *cancel;       /* another call, to be cancelled by this one's completion */
	bool destroy;                   /* destroys the client in the completion */
	const struct http_request *again;       /* starts this in the completion */
	struct outcome *next;
};

static void on_late(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	fail_msg("nothing happened for %d s", LATE_S);
}

static void setup(struct fixture *fixture, const struct peer_step *steps, size_t count)
{
	*fixture = (struct fixture){ .loop = ev_loop_new(EVFLAG_AUTO) };
	fixture->client = http_client_create(fixture->loop, NULL, NULL);
	http_peer_init(&fixture->peer, fixture->loop, steps, count);
	ev_timer_init(&fixture->late, on_late, LATE_S, 0.);
}

static void teardown(struct fixture *fixture)
{
	http_client_destroy(fixture->client);
	http_peer_finish(&fixture->peer);
	ev_loop_destroy(fixture->loop);
}

static void on_done(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct outcome *outcome = arg;
	struct fixture *fixture = outcome->fixture;

	assert_false(outcome->told);
	outcome->told = true;
	outcome->failed = err != NULL;
	if (err != NULL)
		outcome->err = *err;
	outcome->status = reply->status;
	outcome->body = xstrndup(reply->body, reply->body_bytes);
	outcome->body_bytes = reply->body_bytes;
	outcome->sent_s = reply->sent_s;
	outcome->received_s = reply->received_s;
	fixture->told++;
	http_call_cancel(outcome->cancel);
	if (outcome->again != NULL)
		http_client_start(fixture->client, outcome->again, on_done, outcome->next);
	if (outcome->destroy) {
		http_client_destroy(fixture->client);
		fixture->client = NULL;
	}
	ev_break(fixture->loop, EVBREAK_ONE);
}

static void wait_for(struct fixture *fixture, unsigned told)
{
	while (fixture->told < told) {
		ev_timer_stop(fixture->loop, &fixture->late);
		ev_timer_set(&fixture->late, LATE_S, 0.);
		ev_timer_start(fixture->loop, &fixture->late);
		ev_run(fixture->loop, 0);
	}
	ev_timer_stop(fixture->loop, &fixture->late);
}

static char *url_of(const struct fixture *fixture)
{
	static char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/path", fixture->peer.port);
	return url;
}

static struct http_request request_to(const struct fixture *fixture)
{
	static const char *const headers[] = { "Content-Type: text/plain", "X-One: 1", NULL };

	return (struct http_request){
		.method = "POST", .url = url_of(fixture), .headers = headers, .body = "hello", .body_bytes = 5,
		.timeout_ms = 5000, .reply_limit = 1 << 20,
	};
}

static void run_one(struct fixture *fixture, const struct http_request *request, struct outcome *outcome)
{
	unsigned before = fixture->told;

	*outcome = (struct outcome){ .fixture = fixture };
	http_client_start(fixture->client, request, on_done, outcome);
	assert_false(outcome->told);
	wait_for(fixture, before + 1);
	assert_true(outcome->told);
}

static void test_answer_and_reuse(void **state)
{
	static const struct peer_step steps[] = {
		{ .headers = "X-Two:  second \r\n", .body = "world" }, { .status = 404, .body = "no" },
	};
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	request = request_to(&fixture);
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(outcome.status, 200);
	assert_string_equal(outcome.body, "world");
	assert_true(outcome.sent_s <= outcome.received_s && outcome.sent_s > 1e9);
	free(outcome.body);
	assert_string_equal(fixture.peer.requests[0].body, "hello");
	assert_string_equal(http_peer_header(&fixture.peer.requests[0], "X-One"), "1");
	assert_string_equal(http_peer_header(&fixture.peer.requests[0], "User-Agent"), "gantry");
	assert_null(http_peer_header(&fixture.peer.requests[0], "Expect"));
	assert_memory_equal(fixture.peer.requests[0].head, "POST /path HTTP/1.1\r\n", 21);
	run_one(&fixture, &request, &outcome);
	assert_int_equal(outcome.status, 404);
	free(outcome.body);
	assert_int_equal(fixture.peer.connections, 1);
	teardown(&fixture);
}

static void on_headers(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct fixture *fixture = arg;

	assert_null(err);
	assert_string_equal(http_reply_header(reply, "x-two"), "second");
	assert_string_equal(http_reply_header(reply, "X-Empty"), "");
	assert_null(http_reply_header(reply, "X-Tw"));
	fixture->told++;
	ev_break(fixture->loop, EVBREAK_ONE);
}

static void test_headers(void **state)
{
	static const struct peer_step steps[] = {
		{ .act = PEER_RAW, .body = "HTTP/1.1 100 Continue\r\nX-Two: interim\r\n\r\nHTTP/1.1 200 OK\r\nX-Two:  second \r\n"
			"X-Empty:\r\nContent-Length: 0\r\n\r\n" },
	};
	struct fixture fixture;
	struct http_request request;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	request = request_to(&fixture);
	http_client_start(fixture.client, &request, on_headers, &fixture);
	wait_for(&fixture, 1);
	teardown(&fixture);
}

/* How peers misbehave, and what the caller may conclude. */
static const struct {
	const char *name;
	struct peer_step step;
	unsigned timeout_ms;
	size_t reply_limit;
	enum error_kind want;
	long status;                    /* known although the body is not; 0: none */
} bad[] = {
	{ "silence", { .act = PEER_HANG }, 200, 100, ERROR_AMBIGUOUS, 0 },
	{ "drip", { .act = PEER_DRIP, .body = "slowly" }, 300, 100, ERROR_AMBIGUOUS, 0 },
	{ "closed without an answer", { .act = PEER_CLOSE }, 5000, 100, ERROR_AMBIGUOUS, 0 },
	{ "reset without an answer", { .act = PEER_RESET }, 5000, 100, ERROR_AMBIGUOUS, 0 },
	{ "truncated", { .act = PEER_TRUNCATE, .body = "half" }, 5000, 1000, ERROR_AMBIGUOUS, 0 },
	{ "over the limit", { .body = "0123456789" }, 5000, 9, ERROR_AMBIGUOUS, 200 },
	{ "no HTTP", { .act = PEER_RAW, .body = "SSH-2.0-OpenSSH_9.2\r\n" }, 5000, 100, ERROR_AMBIGUOUS, 0 },
};

static void test_bad_peers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture fixture;
		struct http_request request;
		struct outcome outcome;

		setup(&fixture, &bad[i].step, 1);
		request = request_to(&fixture);
		request.timeout_ms = bad[i].timeout_ms;
		request.reply_limit = bad[i].reply_limit;
		run_one(&fixture, &request, &outcome);
		if (!outcome.failed || outcome.err.kind != bad[i].want || outcome.status != bad[i].status)
			fail_msg("%s: got %s \"%s\"", bad[i].name, error_kind_name(outcome.err.kind), outcome.err.text);
		assert_int_equal(fixture.peer.request_count, 1);
		free(outcome.body);
		teardown(&fixture);
	}
}

static void test_limit_is_inclusive(void **state)
{
	static const struct peer_step step = { .body = "0123456789" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	request.reply_limit = 10;
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(outcome.body_bytes, 10);
	free(outcome.body);
	teardown(&fixture);
}

static void test_endless_headers(void **state)
{
	static const size_t size = 200 << 10;
	struct peer_step step = { .act = PEER_RAW };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	char *raw = xcalloc(1, size + 1);
	size_t used = (size_t)snprintf(raw, size, "HTTP/1.1 200 OK\r\n");

	(void)state;
	while (used + 32 < size)
		used += (size_t)snprintf(raw + used, size - used, "X-Filler: 0123456789\r\n");
	step.body = raw;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	run_one(&fixture, &request, &outcome);
	assert_true(outcome.failed);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	free(outcome.body);
	teardown(&fixture);
	free(raw);
}

/* A bound port that nobody listens on: connecting to it is refused. */
static int closed_port(unsigned *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void test_not_sent(void **state)
{
	static const struct { const char *name, *url; enum error_kind want; } cases[] = {
		{ "refused", NULL, ERROR_TEMPORARY },
		{ "no such name", "http://nowhere.invalid/", ERROR_TEMPORARY },
		{ "unknown scheme", "gopher://127.0.0.1/", ERROR_INVALID },
		{ "no URL", "http://[::1/", ERROR_INVALID },
	};
	static const struct peer_step step = { 0 };
	unsigned port;
	int fd = closed_port(&port);
	char refused[64];

	(void)state;
	snprintf(refused, sizeof(refused), "http://127.0.0.1:%u/", port);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct http_request request;
		struct outcome outcome;

		setup(&fixture, &step, 1);
		request = request_to(&fixture);
		request.url = cases[i].url != NULL ? cases[i].url : refused;
		run_one(&fixture, &request, &outcome);
		if (!outcome.failed || outcome.err.kind != cases[i].want)
			fail_msg("%s: got %s \"%s\"", cases[i].name, error_kind_name(outcome.err.kind), outcome.err.text);
		free(outcome.body);
		teardown(&fixture);
	}
	close(fd);
}

/* With its backlog full, a listener leaves new connections without an answer. */
static void test_connect_timeout(void **state)
{
	static const struct peer_step step = { 0 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	char url[64];

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fill[i], (struct sockaddr *)&address, size);
	}
	setup(&fixture, &step, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	request = request_to(&fixture);
	request.url = url;
	request.connect_timeout_ms = 200;
	run_one(&fixture, &request, &outcome);
	assert_true(outcome.failed);
	assert_int_equal(outcome.err.kind, ERROR_TEMPORARY);
	free(outcome.body);
	teardown(&fixture);
	for (size_t i = 0; i < ARRAY_SIZE(fill); i++)
		close(fill[i]);
	close(listener);
}

/* A kept connection that the peer has closed is not an error: libcurl goes on with a new one. */
static void test_dead_kept_connection(void **state)
{
	static const struct peer_step steps[] = { { .act = PEER_ANSWER_CLOSE, .body = "1" }, { .body = "2" } };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	request = request_to(&fixture);
	run_one(&fixture, &request, &outcome);
	free(outcome.body);
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_string_equal(outcome.body, "2");
	free(outcome.body);
	assert_int_equal(fixture.peer.connections, 2);
	teardown(&fixture);
}

static void test_cancel(void **state)
{
	static const struct peer_step steps[] = { { .body = "1" }, { .act = PEER_HANG } };
	struct fixture fixture;
	struct http_request request;
	struct outcome first = { .fixture = &fixture }, second = first, third = first;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	request = request_to(&fixture);
	http_call_cancel(NULL);
	http_call_cancel(http_client_start(fixture.client, &request, on_done, &third));         /* before it began */
	http_client_start(fixture.client, &request, on_done, &first);
	first.cancel = http_client_start(fixture.client, &request, on_done, &second);           /* in a completion */
	wait_for(&fixture, 1);
	free(first.body);
	http_client_start(fixture.client, &request, on_done, &third);                           /* with the client */
	ev_run(fixture.loop, EVRUN_NOWAIT);
	teardown(&fixture);
	assert_false(second.told);
	assert_false(third.told);
}

/* Two calls end in one turn; the first one's completion cancels the second, whose answer has come. */
static void test_cancel_of_answered_call(void **state)
{
	static const struct peer_step step = { .body = "1" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcomes[8];
	unsigned told = 0;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		struct http_call *call;

		outcomes[i] = (struct outcome){ .fixture = &fixture };
		call = http_client_start(fixture.client, &request, on_done, &outcomes[i]);
		if (i % 2 == 1)
			outcomes[i - 1].cancel = call;
	}
	/* The odd ones are told only if they ended in an earlier turn than their neighbour; then their
	 * handle is stale, so the neighbour must forget it. */
	while (told < 4) {
		wait_for(&fixture, fixture.told + 1);
		told = 0;
		for (size_t i = 0; i < ARRAY_SIZE(outcomes); i += 2) {
			if (outcomes[i + 1].told)
				outcomes[i].cancel = NULL;
			told += outcomes[i].told;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		free(outcomes[i].told ? outcomes[i].body : NULL);
	teardown(&fixture);
}

static void test_destroy_in_completion(void **state)
{
	static const struct peer_step step = { .body = "1" };
	struct fixture fixture;
	struct http_request request;
	struct outcome first, second;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	first = (struct outcome){ .fixture = &fixture, .destroy = true };
	second = (struct outcome){ .fixture = &fixture };
	http_client_start(fixture.client, &request, on_done, &first);
	request.timeout_ms = 4000;
	http_client_start(fixture.client, &request, on_done, &second);
	second.destroy = true;
	wait_for(&fixture, 1);
	assert_true(first.told != second.told);
	free(first.body);
	free(second.body);
	teardown(&fixture);
}

static void test_start_in_completion(void **state)
{
	static const struct peer_step step = { .body = "1" };
	struct fixture fixture;
	struct http_request request, broken;
	struct outcome first, second, third;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	broken = request;
	broken.url = "gopher://x/";
	third = (struct outcome){ .fixture = &fixture };
	second = (struct outcome){ .fixture = &fixture, .again = &request, .next = &third };
	first = (struct outcome){ .fixture = &fixture, .again = &broken, .next = &second };
	http_client_start(fixture.client, &request, on_done, &first);
	wait_for(&fixture, 3);
	assert_true(second.failed);
	assert_string_equal(third.body, "1");
	free(first.body);
	free(second.body);
	free(third.body);
	teardown(&fixture);
}

static void test_large_body_without_delay(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	static const size_t sizes[] = { 1 << 20, (1 << 20) + 1, 3 << 20 };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	char *body = xcalloc(1, 3 << 20);

	(void)state;
	memset(body, 'x', 3 << 20);
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	request.body = body;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		request.body_bytes = sizes[i];
		run_one(&fixture, &request, &outcome);
		assert_false(outcome.failed);
		assert_int_equal(strlen(fixture.peer.requests[i].body), sizes[i]);
		assert_null(http_peer_header(&fixture.peer.requests[i], "Expect"));
		free(outcome.body);
	}
	teardown(&fixture);
	free(body);
}

/* No descriptor of libcurl's may reach a program that is started meanwhile. */
static void test_descriptors_close_on_exec(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	struct dirent *entry;
	bool seen[1024] = { false };
	unsigned added = 0;
	DIR *dir;

	(void)state;
	setup(&fixture, &step, 1);
	for (int fd = 0; fd < 1024; fd++)
		seen[fd] = fcntl(fd, F_GETFD) >= 0;
	request = request_to(&fixture);
	run_one(&fixture, &request, &outcome);
	free(outcome.body);
	dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);
		struct sockaddr_storage address;
		socklen_t size = sizeof(address);

		if (entry->d_name[0] == '.' || fd == dirfd(dir) || seen[fd])
			continue;
		/* libcurl's wakeup socket pair is the one thing it gives no chance to mark. */
		if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || address.ss_family != AF_INET)
			continue;
		added++;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	closedir(dir);
	assert_true(added >= 1);
	teardown(&fixture);
}

static void test_unanswering_metadata_through_no_proxy(void **state)
{
	static const struct peer_step step = { .body = "direct" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	unsigned port;
	int fd = closed_port(&port);
	char proxy[64];

	(void)state;
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", port);
	setenv("http_proxy", proxy, 1);
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	run_one(&fixture, &request, &outcome);
	assert_true(outcome.failed);
	free(outcome.body);
	request.direct = true;
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	free(outcome.body);
	unsetenv("http_proxy");
	teardown(&fixture);
	close(fd);
}

/* Whoever keeps the proxy's log sees who connects, and nothing of the request. */
static void test_a_proxy_is_told_who_connects(void **state)
{
	static const struct peer_step step = { .status = 403, .body = "no" };
	static const char *const headers[] = { "Authorization: secret", "X-One: 1", NULL };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	const struct peer_request *came;
	char proxy[64];

	(void)state;
	setup(&fixture, &step, 1);
	http_client_destroy(fixture.client);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", fixture.peer.port);
	setenv("https_proxy", proxy, 1);
	fixture.client = http_client_create(fixture.loop, NULL, &(struct http_client_options){ .user_agent = "gantry/7" });
	request = request_to(&fixture);
	request.url = "https://aws.test/path";
	request.headers = headers;
	run_one(&fixture, &request, &outcome);
	assert_true(outcome.failed);
	free(outcome.body);
	assert_int_equal(fixture.peer.request_count, 1);
	came = &fixture.peer.requests[0];
	assert_memory_equal(came->head, "CONNECT aws.test:443 HTTP/1.1\r\n", 31);
	assert_string_equal(http_peer_header(came, "User-Agent"), "gantry/7");
	assert_null(http_peer_header(came, "Authorization"));
	assert_null(http_peer_header(came, "X-One"));
	unsetenv("https_proxy");
	teardown(&fixture);
}

static const char slow_name[] = "slow.test";
static sem_t lookups, let_go;

/* Takes the place of libc's, which libcurl calls in a thread: one name is never found in time. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (name != NULL && strcmp(name, slow_name) == 0) {
		sem_post(&lookups);
		while (sem_wait(&let_go) != 0)
			;
		return EAI_FAIL;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, found);
}

/* Neither a timeout nor a cancel waits for the thread that looks a name up. */
static void test_slow_names_block_nothing(void **state)
{
	static const struct peer_step step = { 0 };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;
	struct http_call *call;
	double before_s;

	(void)state;
	sem_init(&lookups, 0, 0);
	sem_init(&let_go, 0, 0);
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	request.url = "http://slow.test/";
	request.timeout_ms = 200;
	before_s = clock_monotonic_s();
	run_one(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_TEMPORARY);
	free(outcome.body);
	assert_int_equal(sem_trywait(&lookups), 0);
	request.timeout_ms = 60000;
	request.connect_timeout_ms = 60000;
	request.url = "http://slow.test:81/";
	call = http_client_start(fixture.client, &request, on_done, &outcome);
	while (sem_trywait(&lookups) != 0)
		ev_run(fixture.loop, EVRUN_NOWAIT);
	http_call_cancel(call);
	http_client_start(fixture.client, &request, on_done, &outcome);
	while (sem_trywait(&lookups) != 0)
		ev_run(fixture.loop, EVRUN_NOWAIT);
	teardown(&fixture);
	assert_true(clock_monotonic_s() - before_s < LATE_S);
	for (int i = 0; i < 3; i++)
		sem_post(&let_go);
}

static enum { MULTI_WORKS, MULTI_FAILS_ONCE, MULTI_STALLS } multi;

/* Takes the place of libcurl's, to be an ill libcurl. */
CURLMcode curl_multi_socket_action(CURLM *handle, curl_socket_t fd, int events, int *running)
{
	CURLMcode (*real)(CURLM *, curl_socket_t, int, int *);

	if (multi == MULTI_STALLS) {
		*running = 1;
		return CURLM_OK;
	}
	if (multi == MULTI_FAILS_ONCE) {
		multi = MULTI_WORKS;
		return CURLM_INTERNAL_ERROR;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "curl_multi_socket_action");
	return real(handle, fd, events, running);
}

static void test_libcurl_fails(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	multi = MULTI_FAILS_ONCE;
	run_one(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	free(outcome.body);
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	free(outcome.body);
	teardown(&fixture);
}

/* The watchdog ends what libcurl has forgotten, and starts over. */
static void test_libcurl_stalls(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	struct fixture fixture;
	struct http_request request;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	request = request_to(&fixture);
	request.timeout_ms = 50;
	multi = MULTI_STALLS;
	run_one(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	free(outcome.body);
	multi = MULTI_WORKS;
	run_one(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	free(outcome.body);
	teardown(&fixture);
}

enum { LARGE_BYTES = 40000, CANCELLED = 8 };

static char large[LARGE_BYTES + 1];

static const char *const first_headers[] = { "Content-Type: text/plain", "X-One: 1", "X-Long: 0123456789012345678901234567890", NULL };
static const char *const other_headers[] = { "X-Two: 2", NULL };

/* One after the other by one client, each as different as can be from the one before. */
static const struct {
	const char *method, *path;
	const char *const *headers;
	const char *body;
	struct peer_step step;
	size_t reply_limit;
	enum error_kind want;
	const char *head, *with, *without, *without_too;        /* of the request as it came */
} differing[] = {
	{ "POST", "/first", first_headers, large, { .headers = "X-Old: 1\r\n", .body = large }, LARGE_BYTES, ERROR_NONE,
		"POST /first HTTP/1.1\r\n", "Content-Type", "X-Two", "Expect" },
	{ "POST", "/second?a=b", other_headers, "b", { .status = 404, .body = "no" }, 2, ERROR_NONE,
		"POST /second?a=b HTTP/1.1\r\n", "X-Two", "X-One", "Content-Type" },
	{ "GET", "/./third", NULL, "", { .body = "got" }, 100, ERROR_NONE,
		"GET /./third HTTP/1.1\r\n", "Host", "Content-Length", "X-Two" },
	{ "POST", "/", other_headers, "", { .body = "" }, 100, ERROR_NONE,
		"POST / HTTP/1.1\r\n", "Content-Length", "X-One", "Content-Type" },
	{ "POST", "/", first_headers, "cut", { .act = PEER_TRUNCATE, .status = 500, .body = "half" }, 100, ERROR_AMBIGUOUS,
		"POST / HTTP/1.1\r\n", "X-One", "X-Two", "Expect" },
	{ "POST", "/", other_headers, "again", { .body = "whole" }, 100, ERROR_NONE,
		"POST / HTTP/1.1\r\n", "X-Two", "X-One", "Content-Type" },
	{ "POST", "/", first_headers, "more", { .body = "too much" }, 7, ERROR_AMBIGUOUS,
		"POST / HTTP/1.1\r\n", "X-One", "X-Two", "Expect" },
	{ "PUT", "/put", first_headers, "", { .status = 201, .body = "put" }, 100, ERROR_NONE,
		"PUT /put HTTP/1.1\r\n", "Content-Type", "X-Two", "Expect" },
	{ "POST", "/first", other_headers, "last", { .body = "just enough" }, 11, ERROR_NONE,
		"POST /first HTTP/1.1\r\n", "X-Two", "X-One", "Content-Type" },
};

static void on_no_old_header(void *arg, const struct http_reply *reply, const struct error *err)
{
	const struct outcome *outcome = arg;

	if (outcome->fixture->peer.request_count > 1)
		assert_null(http_reply_header(reply, "X-Old"));
	on_done(arg, reply, err);
}

static void check_difference(struct fixture *fixture, size_t i)
{
	char *url = xasprintf("http://127.0.0.1:%u%s", fixture->peer.port, differing[i].path);
	const struct http_request request = {
		.method = differing[i].method, .url = url, .headers = differing[i].headers, .body = differing[i].body,
		.body_bytes = strlen(differing[i].body), .timeout_ms = 1000 * LATE_S, .reply_limit = differing[i].reply_limit,
	};
	struct outcome outcome = { .fixture = fixture }, *unwanted = &(struct outcome){ .fixture = fixture };
	const struct peer_request *came;
	size_t before = fixture->told;

	/* Cancelled before it was sent, it is not to be seen either. */
	if (i == CANCELLED)
		http_call_cancel(http_client_start(fixture->client, &request, on_done, unwanted));
	http_client_start(fixture->client, &request, on_no_old_header, &outcome);
	wait_for(fixture, (unsigned)before + 1);
	assert_false(unwanted->told);
	assert_int_equal(fixture->peer.request_count, i + 1);
	came = &fixture->peer.requests[i];
	assert_int_equal(outcome.err.kind, differing[i].want);
	if (differing[i].want == ERROR_NONE) {
		assert_int_equal(outcome.status, differing[i].step.status > 0 ? differing[i].step.status : 200);
		assert_string_equal(outcome.body, differing[i].step.body);
	}
	assert_memory_equal(came->head, differing[i].head, strlen(differing[i].head));
	assert_string_equal(came->body, differing[i].body);
	assert_string_equal(http_peer_header(came, "User-Agent"), "gantry");
	assert_non_null(http_peer_header(came, differing[i].with));
	assert_null(http_peer_header(came, differing[i].without));
	assert_null(http_peer_header(came, differing[i].without_too));
	free(outcome.body);
	free(url);
}

static void test_nothing_is_left_of_the_call_before(void **state)
{
	struct peer_step steps[ARRAY_SIZE(differing)];
	struct fixture fixture;

	(void)state;
	memset(large, 'x', LARGE_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(differing); i++)
		steps[i] = differing[i].step;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	for (size_t i = 0; i < ARRAY_SIZE(differing); i++)
		check_difference(&fixture, i);
	teardown(&fixture);
}

enum { MANY = 300 };

/* At once. */
static void run_many(struct fixture *fixture, size_t count)
{
	static struct outcome outcomes[MANY];
	struct http_request request = request_to(fixture);

	for (size_t i = 0; i < count; i++) {
		outcomes[i] = (struct outcome){ .fixture = fixture };
		http_client_start(fixture->client, &request, on_done, &outcomes[i]);
	}
	wait_for(fixture, fixture->told + (unsigned)count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(outcomes[i].body, "ok");
		free(outcomes[i].body);
	}
}

static void test_many_at_once(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	struct fixture fixture;

	(void)state;
	setup(&fixture, &step, 1);
	run_many(&fixture, MANY);
	teardown(&fixture);
}

enum { CLOCKS = CLOCK_TAI + 1 };

static struct timespec shown[CLOCKS];
static bool stopped;            /* all clocks show that */
static unsigned cleaned;

/* Takes the place of libc's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);

	if (stopped && clock >= 0 && clock < CLOCKS) {
		*now = shown[clock];
		return 0;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	return real(clock, now);
}

/* So that the test alone says when time passes. */
static void stop_clocks(void)
{
	for (clockid_t clock = 0; clock < CLOCKS; clock++)
		clock_gettime(clock, &shown[clock]);
	stopped = true;
}

/* Takes the place of libcurl's. */
void curl_easy_cleanup(CURL *easy)
{
	void (*real)(CURL *);

	cleaned++;
	*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_cleanup");
	real(easy);
}

/* Lets eleven seconds pass, after which so many have gone in all. */
static void pass(struct fixture *fixture, unsigned want)
{
	for (size_t i = 0; i < CLOCKS; i++)
		shown[i].tv_sec += 11;
	while (cleaned < want)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_int_equal(cleaned, want);
}

/* Of twenty that are kept five were there when the first ten seconds began, and weren't needed in them.  Then ten of the
 * other fifteen are needed, and then none. */
static void test_kept_calls_go_when_nobody_needs_them(void **state)
{
	static const struct peer_step step = { .body = "ok" };
	struct fixture fixture;

	(void)state;
	alarm(LATE_S);
	stop_clocks();
	setup(&fixture, &step, 1);
	cleaned = 0;
	run_many(&fixture, 20);
	assert_int_equal(cleaned, 0);
	pass(&fixture, 5);
	run_many(&fixture, 10);
	pass(&fixture, 5 + 5);
	pass(&fixture, 20 - 4);
	/* These are enough for who asks seldom. */
	run_many(&fixture, 4);
	assert_int_equal(cleaned, 20 - 4);
	teardown(&fixture);
	assert_int_equal(cleaned, 20);
	stopped = false;
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_and_reuse),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_limit_is_inclusive),
		cmocka_unit_test(test_endless_headers),
		cmocka_unit_test(test_not_sent),
		cmocka_unit_test(test_connect_timeout),
		cmocka_unit_test(test_dead_kept_connection),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_of_answered_call),
		cmocka_unit_test(test_destroy_in_completion),
		cmocka_unit_test(test_start_in_completion),
		cmocka_unit_test(test_large_body_without_delay),
		cmocka_unit_test(test_descriptors_close_on_exec),
		cmocka_unit_test(test_unanswering_metadata_through_no_proxy),
		cmocka_unit_test(test_a_proxy_is_told_who_connects),
		cmocka_unit_test(test_slow_names_block_nothing),
		cmocka_unit_test(test_libcurl_fails),
		cmocka_unit_test(test_libcurl_stalls),
		cmocka_unit_test(test_nothing_is_left_of_the_call_before),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_kept_calls_go_when_nobody_needs_them),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
