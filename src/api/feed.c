/* SPDX-License-Identifier: Apache-2.0 */
/* feed.c - see feed.h.
 *
 * feed_look.c keeps the topic as things are; this file tells it to whoever watches.  A watcher pulls at its
 * own pace and is one number in the topic, so a slow one costs no more than its connection. */
#include "api/feed.h"

#include <stdlib.h>
#include <string.h>

#include "api/feed_look.h"
#include "api/routes.h"
#include "api/event_stream.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/job_record.h"

enum {
	FEED_FILL_BYTES = 32 << 10,
	LIMIT_FEED_EVENT_BYTES = 1 << 20,
};

struct feed {
	struct feed_look look;
	struct list watchers;
};

struct watcher {
	struct list link;               /* feed.watchers */
	struct feed *feed;
	struct event_stream stream;
	const struct texts *projects;   /* lent by the configuration; NULL: all */
	struct topic_reader reader;
	bool greeted, caught_up;
};

static bool has_news(const struct watcher *watcher)
{
	const struct feed_look *look = &watcher->feed->look;

	return watcher->reader.told != look->topic.change || (look->looked && !watcher->caught_up) ||
		event_stream_is_silent(&watcher->stream);
}

/* It is to forget all that it knows, and is told how things are: nothing has to be kept for it. */
static void begin_again(struct watcher *watcher)
{
	topic_reader_begin(&watcher->reader, &watcher->feed->look.topic);
	watcher->greeted = watcher->caught_up = false;
}

static void on_looked(void *arg)
{
	struct feed *feed = arg;
	struct topic *topic = &feed->look.topic;
	uint64_t behind = topic->change;
	struct watcher *watcher;

	list_each(watcher, &feed->watchers, link) {
		if (!topic_reader_keeps_up(&watcher->reader, topic, &behind))
			begin_again(watcher);
		if (has_news(watcher))
			event_stream_wake(&watcher->stream);
	}
	topic_forget_gone(topic, behind);
}

/* -- what a watcher is told --------------------------------------------------------------------- */

static void add_text(struct watcher *watcher, uint64_t change, const char *event, const char *text)
{
	buf_printf(&watcher->stream.out, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)change, event, text);
}

static void add_doc(struct watcher *watcher, uint64_t change, const char *event, json_t *take_doc)
{
	char *text = json_at_dump(take_doc);

	add_text(watcher, change, event, text);
	json_decref(take_doc);
	free(text);
}

static void greet(struct watcher *watcher)
{
	json_t *doc = json_object();

	job_record_stamp(doc, "now", clock_steady_ms());
	add_doc(watcher, 0, "hello", doc);
	watcher->greeted = true;
}

static void add_entry(struct watcher *watcher, const struct topic_entry *entry)
{
	switch (topic_news(entry, watcher->projects, &watcher->reader)) {
	case TOPIC_TEXT:
		add_text(watcher, entry->change, entry->event, entry->text);
		break;
	case TOPIC_GONE:
		add_doc(watcher, entry->change, "gone", json_pack("{s:o}", "key", json_at_text(entry->key)));
		break;
	case TOPIC_NOTHING:
		break;
	}
}

static void on_fill(void *arg)
{
	struct watcher *watcher = arg;
	const struct feed_look *look = &watcher->feed->look;
	struct topic *topic = &watcher->feed->look.topic;
	struct topic_entry *entry;

	if (!watcher->greeted)
		greet(watcher);
	for (entry = topic_after(topic, watcher->reader.told); entry != NULL; entry = topic_next(topic, entry)) {
		if (watcher->stream.out.size >= FEED_FILL_BYTES)
			return;
		add_entry(watcher, entry);
		watcher->reader.told = entry->change;
	}
	watcher->reader.told = watcher->reader.whole = topic->change;
	if (look->looked && !watcher->caught_up) {
		watcher->caught_up = true;
		add_text(watcher, watcher->reader.told, "ready", "{}");
	} else if (watcher->stream.out.size == 0 && event_stream_is_silent(&watcher->stream)) {
		event_stream_ping(&watcher->stream);
	}
}

static void on_over(void *arg)
{
	struct watcher *watcher = arg;
	struct feed *feed = watcher->feed;

	list_remove(&watcher->link);
	free(watcher);
	if (list_empty(&feed->watchers))
		feed_look_stop(&feed->look);
}

void answer_feed(struct api *api, struct request *request)
{
	struct feed *feed = api->feed;
	struct watcher *watcher;

	if (!event_stream_may_begin(api->auth, request))
		return;
	watcher = xnew(struct watcher);
	watcher->feed = feed;
	watcher->projects = auth_projects(request);
	if (list_empty(&feed->watchers))
		feed_look_start(&feed->look);
	topic_reader_begin(&watcher->reader, &feed->look.topic);
	list_append(&feed->watchers, &watcher->link);
	event_stream_answer(&watcher->stream, api->auth, request, LIMIT_FEED_EVENT_BYTES, on_fill, on_over, watcher);
	/* Its reader comes back, to the next generation. */
	if (api->state == API_DRAINING)
		event_stream_end(&watcher->stream);
}

/* -- life --------------------------------------------------------------------------------------- */

void feed_end(struct feed *feed)
{
	struct watcher *watcher;

	if (feed == NULL)
		return;
	list_each(watcher, &feed->watchers, link)
		event_stream_end(&watcher->stream);
}

struct feed *feed_create(struct api *api)
{
	struct feed *feed = xnew(struct feed);

	list_init(&feed->watchers);
	feed_look_init(&feed->look, api, on_looked, feed);
	return feed;
}

void feed_destroy(struct feed *feed)
{
	if (feed == NULL)
		return;
	feed_look_finish(&feed->look);
	free(feed);
}
