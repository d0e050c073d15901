/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard.c - GET /: one page that asks the other calls, with the token that its reader types.
 *
 * It is part of the program and loads nothing from elsewhere.  Its policy says so too, and names its style and
 * its script by their digests: nothing that found its way into the page would run. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

/* Made from dashboard.html, dashboard.css and dashboard.js. */
static const char body[] =
#include "dashboard_html.h"
;
static const char style[] =
#include "dashboard_css.h"
;
static const char script[] =
#include "dashboard_js.h"
;

enum { DIGEST_BYTES = 32, DIGEST_TEXT_BYTES = 48 };
enum { LIMIT_PAGE_BYTES = sizeof(body) + sizeof(style) + sizeof(script) + 1024 };

/* As a source expression of CSP: sha256-BASE64. */
static void digest(const char *text, size_t size, char out[DIGEST_TEXT_BYTES])
{
	unsigned char bytes[DIGEST_BYTES];

	if (EVP_Digest(text, size, bytes, NULL, EVP_sha256(), NULL) != 1)
		fatal("no SHA-256");
	EVP_EncodeBlock((unsigned char *)out, bytes, sizeof(bytes));
}

static char *make_policy(void)
{
	char of_style[DIGEST_TEXT_BYTES], of_script[DIGEST_TEXT_BYTES];

	digest(style, sizeof(style) - 1, of_style);
	digest(script, sizeof(script) - 1, of_script);
	return xasprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src data:; connect-src 'self'; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		of_style, of_script);
}

static char *make_page(size_t *size)
{
	struct buf page;

	buf_init(&page, LIMIT_PAGE_BYTES);
	buf_add_text(&page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
		"%3Cpath d='M2 3h12M3 3v11M13 3v11M8 3v5' stroke='%231f54c0' stroke-width='2' fill='none'/%3E"
		"%3Crect x='6' y='8' width='4' height='4' fill='%231f54c0'/%3E%3C/svg%3E\">\n"
		"<title>gantry</title>\n<style>");
	buf_add_text(&page, style);
	buf_add_text(&page, "</style>\n</head>\n<body>\n");
	buf_add_text(&page, body);
	buf_add_text(&page, "<script>");
	buf_add_text(&page, script);
	buf_add_text(&page, "</script>\n</body>\n</html>\n");
	*size = page.size;
	return buf_take(&page);
}

void answer_dashboard(struct api *api, struct request *request)
{
	struct MHD_Response *response;
	char *policy, *page;
	size_t size;

	(void)api;
	page = make_page(&size);
	policy = make_policy();
	response = MHD_create_response_from_buffer(size, page, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	MHD_add_response_header(response, "Content-Security-Policy", policy);
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	free(policy);
	request_answer(request, MHD_HTTP_OK, response);
}
