/* SPDX-License-Identifier: Apache-2.0 */
/* gantry-worker.c - the program: takes what the master hands it and becomes a worker. */
#include "ipc/role_start.h"
#include "worker/worker.h"

int main(void)
{
	struct heritage heritage;
	struct conf *conf = role_start("gantry-worker", &heritage);
	struct worker *worker;
	int status;

	if (conf == NULL)
		return ROLE_START_FAILED;
	worker = worker_create(&heritage, conf);
	status = worker_run(worker);
	worker_destroy(worker);
	return status;
}
