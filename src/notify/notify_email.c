/* SPDX-License-Identifier: Apache-2.0 */
/* notify_email.c - sends the notice as a mail, over libcurl's SMTP.
 *
 * One mail for all addresses, taken by the server for all or for none of them.  An address that a job named gets its
 * own. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/curl_loop.h"
#include "notify/mail.h"
#include "notify/notice_text.h"
#include "notify/notify_impl.h"

enum { ANSWER_TIMEOUT_MAX_S = 10 };     /* well below the master's watchdog */

struct notify_email {
	struct notify base;
	struct curl_loop *curl;
	struct list mailings;           /* struct mailing, by link */
};

/* One mail on its way. */
struct mailing {
	struct list link;
	struct notify_email *sink;
	CURL *easy;
	struct curl_slist *recipients;
	char *mail;
	size_t sent;
	char why[CURL_ERROR_SIZE];
	notify_done_fn *done;
	void *arg;
};

static void mailing_free(struct mailing *mailing)
{
	list_remove(&mailing->link);
	curl_easy_cleanup(mailing->easy);
	curl_slist_free_all(mailing->recipients);
	free(mailing->mail);
	free(mailing);
}

/* What a server says of an address (550, 551, 553) it will say again; anything else is its own trouble. */
static void judge(const struct mailing *mailing, CURLcode result, struct error *err)
{
	long code = 0;

	curl_easy_getinfo(mailing->easy, CURLINFO_RESPONSE_CODE, &code);
	error_set(err, code == 550 || code == 551 || code == 553 ? ERROR_INVALID : code >= 500 ? ERROR_REFUSED :
		mailing->sent > 0 ? ERROR_AMBIGUOUS : ERROR_TEMPORARY, "%s",
		mailing->why[0] != '\0' ? mailing->why : curl_easy_strerror(result));
}

static void finish(struct mailing *mailing, CURLcode result)
{
	notify_done_fn *done = mailing->done;
	void *arg = mailing->arg;
	struct error err = { 0 };

	if (result != CURLE_OK)
		judge(mailing, result, &err);
	mailing_free(mailing);
	done(arg, result != CURLE_OK ? &err : NULL, 0);
}

static void on_transfer(void *arg, CURL *easy, CURLcode result)
{
	char *private;

	(void)arg;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	finish((struct mailing *)private, result);
}

/* libcurl has lost its way: none of them may go on. */
static void on_broken(void *arg)
{
	struct notify_email *sink = arg;
	struct mailing *mailing, *next;

	list_each_safe(mailing, next, &sink->mailings, link) {
		curl_loop_remove(sink->curl, mailing->easy);
		finish(mailing, CURLE_SEND_ERROR);
	}
}

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_email *sink = xnew(struct notify_email);

	(void)conf, (void)err;
	list_init(&sink->mailings);
	sink->curl = curl_loop_create(env->loop, env->log, on_transfer, on_broken, sink);
	return &sink->base;
}

static void destroy(struct notify *notify)
{
	struct notify_email *sink = (struct notify_email *)notify;
	struct mailing *mailing, *next;

	list_each_safe(mailing, next, &sink->mailings, link) {
		curl_loop_remove(sink->curl, mailing->easy);
		mailing_free(mailing);
	}
	curl_loop_destroy(sink->curl);
	free(sink);
}

static char *compose(const struct notify *notify, const struct notice *notice)
{
	const struct conf_sink *conf = notify->conf;
	char *subject = notice_text_line(notice->doc, conf->subject != NULL ? conf->subject :
		"[gantry] {{ project }}: {{ event }}");
	char *text = notice_text(notice->doc, conf->text);
	char *url = notice_text_value(notice->doc, "url");
	const struct mail mail = {
		.id = notice->id,
		.from = conf->from,
		.to = notice->target != NULL ? &notice->target : (const char *const *)conf->to.at,
		.to_count = notice->target != NULL ? 1 : conf->to.count,
		.subject = subject,
		.text = text,
		.url = url,
		.at_ms = clock_wall_ms(),
	};
	char *composed = mail_compose(&mail);

	free(subject);
	free(text);
	free(url);
	return composed;
}

static size_t on_read(char *bytes, size_t size, size_t count, void *arg)
{
	struct mailing *mailing = arg;
	size_t left = strlen(mailing->mail + mailing->sent);
	size_t part = left < size * count ? left : size * count;

	memcpy(bytes, mailing->mail + mailing->sent, part);
	mailing->sent += part;
	return part;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg, (void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static long tls_wanted(const struct conf_sink *conf)
{
	if (conf->starttls == CONF_STARTTLS_REQUIRED || conf->password != NULL)
		return CURLUSESSL_ALL;
	return conf->starttls == CONF_STARTTLS_OFFERED ? CURLUSESSL_TRY : CURLUSESSL_NONE;
}

/* libcurl waits for the answers to the end of a mail and to QUIT without going back to the loop, and for the
 * latter beyond the transfer's own timeout: this is how long a silent server may keep us from everything else. */
static long answer_timeout_s(const struct conf_sink *conf)
{
	int64_t timeout_s = (conf->timeout_ms + 999) / 1000;

	return timeout_s < ANSWER_TIMEOUT_MAX_S ? (long)timeout_s : ANSWER_TIMEOUT_MAX_S;
}

static void set_server(CURL *easy, const struct conf_sink *conf)
{
	curl_easy_setopt(easy, CURLOPT_URL, conf->smtp);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_SMTP | CURLPROTO_SMTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_USE_SSL, tls_wanted(conf));
	if (conf->user != NULL) {
		curl_easy_setopt(easy, CURLOPT_USERNAME, conf->user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, conf->password);
	}
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)conf->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)conf->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, answer_timeout_s(conf));
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (getenv("SSL_CERT_FILE") != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("SSL_CERT_FILE"));
}

static void add_recipient(struct mailing *mailing, const char *address)
{
	char *text = xasprintf("<%s>", address);

	mailing->recipients = curl_slist_append(mailing->recipients, text);
	if (mailing->recipients == NULL)
		fatal("out of memory for a mail");
	free(text);
}

static void set_envelope(struct mailing *mailing, const struct conf_sink *conf, const char *target)
{
	CURL *easy = mailing->easy;
	char *from = xasprintf("<%s>", conf->from);

	curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from);
	free(from);
	for (size_t i = 0; target == NULL && i < conf->to.count; i++)
		add_recipient(mailing, conf->to.at[i]);
	if (target != NULL)
		add_recipient(mailing, target);
	curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, mailing->recipients);
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, mailing);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)strlen(mailing->mail));
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, mailing->why);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)mailing);
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_email *sink = (struct notify_email *)notify;
	struct mailing *mailing = xnew(struct mailing);

	mailing->sink = sink;
	mailing->done = done;
	mailing->arg = arg;
	mailing->mail = compose(notify, notice);
	mailing->easy = curl_easy_init();
	if (mailing->easy == NULL)
		fatal("out of memory for libcurl");
	list_append(&sink->mailings, &mailing->link);
	set_server(mailing->easy, notify->conf);
	set_envelope(mailing, notify->conf, notice->target);
	/* It fails for a handle that is none, or is in already. */
	if (!curl_loop_add(sink->curl, mailing->easy))
		fatal("libcurl did not take a mail");
}

const struct notify_impl notify_email = {
	.name = "email",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
