/* SPDX-License-Identifier: Apache-2.0 */
/* fake_credentials.h - credentials.h for tests of calls: what there is, the test says. */
#ifndef TESTS_FAKE_CREDENTIALS_H
#define TESTS_FAKE_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"

struct fake_credentials {
	const char *access_key;         /* NULL: none at hand */
	const char *session_token;
	const char *next_access_key;    /* taken when the present one is rejected */
	bool late;                      /* none at hand until asked for */
	struct error refuse;            /* of a kind: what asking is answered with */
	unsigned asked, rejected;
};

/* What the next call sees. */
extern struct fake_credentials fake_credentials;

#endif
