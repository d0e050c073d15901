/* SPDX-License-Identifier: Apache-2.0 */
/* notify_email.c - sends the notice as a mail, over libcurl's SMTP.
 *
 * One mail for all addresses, taken by the server for all or for none of them.  An address that a job named gets its
 * own.  libcurl waits for some answers of a mail server without going back to the loop, so each mail has a thread of
 * its own, which touches nothing but the mail and the way back.  A sink that is destroyed waits for none: a mail that
 * is under way then gives up as soon as it looks, and tells nobody. */
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "notify/mail.h"
#include "notify/notice_text.h"
#include "notify/notify_impl.h"

/* The way back from the threads, freed by whoever leaves last: the sink or one of them. */
struct mail_returns {
	pthread_mutex_t lock;           /* of all below */
	unsigned users;                 /* the sink, and each thread */
	bool closed;                    /* the sink is gone, and its loop perhaps */
	struct ev_loop *loop;
	ev_async came;
	struct list mailings;           /* struct mailing, by link: those that have ended */
};

struct notify_email {
	struct notify base;
	struct mail_returns *returns;
};

/* One mail on its way: its thread's until it is in the returns. */
struct mailing {
	struct list link;
	struct mail_returns *returns;
	CURL *easy;
	struct curl_slist *recipients;
	char *mail;
	size_t sent;
	char why[CURL_ERROR_SIZE];
	struct error err;               /* what came of it */
	notify_done_fn *done;
	void *arg;
};

static void mailing_free(struct mailing *mailing)
{
	curl_easy_cleanup(mailing->easy);
	curl_slist_free_all(mailing->recipients);
	free(mailing->mail);
	free(mailing);
}

/* -- the way back ------------------------------------------------------------------------------- */

/* Called with the lock, which it lets go. */
static void leave_returns(struct mail_returns *returns)
{
	bool last = --returns->users == 0;

	pthread_mutex_unlock(&returns->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&returns->lock);
	free(returns);
}

static void come_back(struct mailing *mailing)
{
	struct mail_returns *returns = mailing->returns;

	pthread_mutex_lock(&returns->lock);
	if (returns->closed) {
		mailing_free(mailing);
	} else {
		list_append(&returns->mailings, &mailing->link);
		ev_async_send(returns->loop, &returns->came);
	}
	leave_returns(returns);
}

static struct mailing *next_returned(struct mail_returns *returns)
{
	struct mailing *mailing = NULL;

	pthread_mutex_lock(&returns->lock);
	if (!list_empty(&returns->mailings)) {
		mailing = list_first(&returns->mailings, struct mailing, link);
		list_remove(&mailing->link);
	}
	pthread_mutex_unlock(&returns->lock);
	return mailing;
}

static void on_came(struct ev_loop *loop, ev_async *came, int revents)
{
	struct mail_returns *returns = container_of(came, struct mail_returns, came);
	struct mailing *mailing;

	(void)loop, (void)revents;
	while ((mailing = next_returned(returns)) != NULL) {
		notify_done_fn *done = mailing->done;
		void *arg = mailing->arg;
		struct error err = mailing->err;

		mailing_free(mailing);
		done(arg, err.kind != ERROR_NONE ? &err : NULL, 0);
	}
}

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_email *sink = xnew(struct notify_email);

	(void)conf, (void)err;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	sink->returns = xnew(struct mail_returns);
	sink->returns->users = 1;
	sink->returns->loop = env->loop;
	pthread_mutex_init(&sink->returns->lock, NULL);
	list_init(&sink->returns->mailings);
	ev_async_init(&sink->returns->came, on_came);
	ev_async_start(env->loop, &sink->returns->came);
	return &sink->base;
}

static void destroy(struct notify *notify)
{
	struct notify_email *sink = (struct notify_email *)notify;
	struct mail_returns *returns = sink->returns;
	struct mailing *mailing;

	while ((mailing = next_returned(returns)) != NULL)
		mailing_free(mailing);
	pthread_mutex_lock(&returns->lock);
	returns->closed = true;
	ev_async_stop(returns->loop, &returns->came);
	leave_returns(returns);
	free(sink);
}

/* -- in a thread of the mail's own --------------------------------------------------------------- */

/* What a server says of an address (550, 551, 553) it will say again; anything else is its own trouble. */
static void judge(struct mailing *mailing, CURLcode result)
{
	long code = 0;

	if (result == CURLE_OK)
		return;
	curl_easy_getinfo(mailing->easy, CURLINFO_RESPONSE_CODE, &code);
	error_set(&mailing->err, code == 550 || code == 551 || code == 553 ? ERROR_INVALID : code >= 500 ? ERROR_REFUSED :
		mailing->sent > 0 ? ERROR_AMBIGUOUS : ERROR_TEMPORARY, "%s",
		mailing->why[0] != '\0' ? mailing->why : curl_easy_strerror(result));
}

/* The handle goes here, too: its end may wait as well. */
static void *run(void *arg)
{
	struct mailing *mailing = arg;

	judge(mailing, curl_easy_perform(mailing->easy));
	curl_easy_cleanup(mailing->easy);
	mailing->easy = NULL;
	come_back(mailing);
	return NULL;
}

/* Asked by libcurl about once a second: not 0 ends it. */
static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
	struct mailing *mailing = arg;
	bool closed;

	(void)to_get, (void)got, (void)to_send, (void)sent;
	pthread_mutex_lock(&mailing->returns->lock);
	closed = mailing->returns->closed;
	pthread_mutex_unlock(&mailing->returns->lock);
	return closed;
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

/* No signal is for the thread. */
static int start_thread(struct mailing *mailing)
{
	sigset_t all, before;
	pthread_t thread;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, NULL, run, mailing);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
		pthread_detach(thread);
	return failed;
}

/* -- what is sent ------------------------------------------------------------------------------- */

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

static long tls_wanted(const struct conf_sink *conf)
{
	if (conf->starttls == CONF_STARTTLS_REQUIRED || conf->password != NULL)
		return CURLUSESSL_ALL;
	return conf->starttls == CONF_STARTTLS_OFFERED ? CURLUSESSL_TRY : CURLUSESSL_NONE;
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
	curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)((conf->timeout_ms + 999) / 1000));
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
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, mailing);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_email *sink = (struct notify_email *)notify;
	struct mailing *mailing = xnew(struct mailing);
	int failed;

	mailing->returns = sink->returns;
	mailing->done = done;
	mailing->arg = arg;
	mailing->mail = compose(notify, notice);
	mailing->easy = curl_easy_init();
	if (mailing->easy == NULL)
		fatal("out of memory for libcurl");
	set_server(mailing->easy, notify->conf);
	set_envelope(mailing, notify->conf, notice->target);
	pthread_mutex_lock(&sink->returns->lock);
	sink->returns->users++;
	pthread_mutex_unlock(&sink->returns->lock);
	failed = start_thread(mailing);
	if (failed != 0) {
		error_set(&mailing->err, ERROR_TEMPORARY, "no thread for a mail: %s", strerror(failed));
		come_back(mailing);
	}
}

const struct notify_impl notify_email = {
	.name = "email",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
