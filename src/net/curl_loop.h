/* SPDX-License-Identifier: Apache-2.0 */
/* curl_loop.h - libcurl's multi handle driven by libev.
 *
 * Knows sockets and timers, nothing of requests.  libcurl forbids most calls from inside its own
 * callbacks; here it is entered from the loop only, and a transfer that has ended is taken out of the
 * multi handle before it is reported. */
#ifndef NET_CURL_LOOP_H
#define NET_CURL_LOOP_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>

#include "base/log.h"

enum { CURL_LOOP_CONNECTIONS = 256 };   /* idle ones kept for reuse */

struct curl_loop;

/* The transfer has ended and easy is out of the multi handle.  May add and remove transfers, not destroy the loop. */
typedef void curl_loop_done_fn(void *arg, CURL *easy, CURLcode result);
/* libcurl reported an error about itself, after which the state of all transfers is undefined: remove them
 * all (curl_loop_remove()), then a new multi handle takes over. */
typedef void curl_loop_broken_fn(void *arg);

struct curl_loop *curl_loop_create(struct ev_loop *loop, const struct log *log, curl_loop_done_fn *done,
	curl_loop_broken_fn *broken, void *arg);
/* All transfers must have been removed. */
void curl_loop_destroy(struct curl_loop *curl);
bool curl_loop_add(struct curl_loop *curl, CURL *easy);
void curl_loop_remove(struct curl_loop *curl, CURL *easy);
/* Starts over with a new multi handle and new connections; calls broken first. */
void curl_loop_rebuild(struct curl_loop *curl);

#endif
