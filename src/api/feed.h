/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h - everything at a glance, as it changes: GET /v1/events, a stream of server-sent events.
 *
 * While somebody watches, the store and the master are looked at once a second, for all watchers together;
 * while nobody does, never.  A watcher gets what its token may see, first all of it, then what changes:
 *
 *      hello    first, and whenever the reader must forget what it knows: now, by our clock
 *      job      a record as in GET /v1/jobs: unfinished jobs and those that ended last
 *      lock     a held key that others wait for: key, holder, since, waiting
 *      queue, worker, daemon, count     as in GET /v1/queues, /v1/workers; how many jobs are in each state
 *      gone     {"key":"job/ID"}: what is not to be shown any more
 *      trouble  {"text":...}, null when it is over: what is shown may be old
 *      ready    all that is known has been told */
#ifndef API_FEED_H
#define API_FEED_H

struct api;
struct feed;
struct request;

struct feed *feed_create(struct api *api);
/* After the store is closed: a look may be under way until then. */
void feed_destroy(struct feed *feed);
/* Draining: streams end, and their readers go on with the next generation. */
void feed_end(struct feed *feed);
void answer_feed(struct api *api, struct request *request);

#endif
