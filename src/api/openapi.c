/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c - GET /v1/openapi.json: every call, as programs read it (OpenAPI 3.1). */
#include "api/routes.h"

static const char document[] =
#include "openapi_json.h"
;

void answer_openapi(struct api *api, struct request *request)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof(document) - 1, (void *)document,
		MHD_RESPMEM_PERSISTENT);

	(void)api;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	request_answer(request, MHD_HTTP_OK, response);
}
