/* SPDX-License-Identifier: Apache-2.0 */
/* gantry-worker.c - the program: takes what the master hands it and becomes a worker, or the nursery that workers
 * come from. */
#include <openssl/crypto.h>

#include "ipc/nursery.h"
#include "ipc/role_start.h"
#include "worker/worker.h"

int main(int argc, char **argv)
{
	struct heritage heritage;
	struct conf *conf;
	struct worker *worker;
	int status;

	if (nursery_is_asked_for(argc, argv))
		nursery_run(argv);
	/* A mail may still be on its way in a thread when we exit: what it uses is not to be freed under it. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	conf = role_start("gantry-worker", &heritage);
	if (conf == NULL)
		return ROLE_START_FAILED;
	worker = worker_create(&heritage, conf);
	status = worker_run(worker);
	worker_destroy(worker);
	return status;
}
