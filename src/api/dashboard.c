/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.c - GET /: one page that asks the other calls, with the token that its reader types.
 *
 * It is part of the program and loads nothing from elsewhere; its policy forbids that, too. */
#include <string.h>

#include "api/routes.h"

/* Made from dashboard.html. */
static const char page[] =
#include "dashboard_html.h"
;

void answer_dashboard(struct api *api, struct request *request)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof(page) - 1, (void *)page, MHD_RESPMEM_PERSISTENT);

	(void)api;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	MHD_add_response_header(response, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	request_answer(request, MHD_HTTP_OK, response);
}
