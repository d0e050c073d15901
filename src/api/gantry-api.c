/* SPDX-License-Identifier: Apache-2.0 */
/* gantry-api.c - the program: takes what the master hands it and becomes the api. */
#include "ipc/role_start.h"
#include "api/api.h"

int main(void)
{
	struct heritage heritage;
	struct conf *conf = role_start("gantry-api", &heritage);
	struct api *api;
	int status;

	if (conf == NULL)
		return ROLE_START_FAILED;
	api = api_create(&heritage, conf);
	status = api_run(api);
	api_destroy(api);
	return status;
}
