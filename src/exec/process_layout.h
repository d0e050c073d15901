/* SPDX-License-Identifier: Apache-2.0 */
/* process_layout.h - the names of what a local deployment leaves on disk.
 *
 *      STATE/id                        names this state directory, and so the host, in handles
 *      STATE/jobs/TOKEN/               one launch; its existence is the launch's idempotency
 *              lock                    locked (OFD) as long as the shim or its guard lives
 *              started                 written before the command runs: from then on nobody starts it again
 *              log                     what the command wrote to both its outputs, in order
 *              result                  what the deployment wrote to the file $GANTRY_RESULT names
 *              stop                    why a worker asked for its end
 *              exit                    what became of it; the last thing a shim writes
 *              exit.new                room for exit, held from the start; with an "end" line it is as good
 *              exit.lost               a link whose text is the result, when the disk took nothing else
 *              void                    given up before it ran: no shim starts it any more
 *      STATE/api-readers               how far the readers of GET /status/ID are (api/deploy_reader.h)
 *      STATE/parallel/DEPLOYER/N       locked (OFD) by the command in slot N
 *
 * started and exit are lines of a key, a blank and a value; the last line is "end". */
#ifndef EXEC_PROCESS_LAYOUT_H
#define EXEC_PROCESS_LAYOUT_H

#define PROCESS_ID_FILE "id"
#define PROCESS_JOBS "jobs"
#define PROCESS_PARALLEL "parallel"
#define PROCESS_LOCK "lock"
#define PROCESS_STARTED "started"
#define PROCESS_LOG "log"
#define PROCESS_RESULT "result"
#define PROCESS_STOP "stop"
#define PROCESS_EXIT "exit"
#define PROCESS_EXIT_NEW "exit.new"
#define PROCESS_EXIT_LOST "exit.lost"
#define PROCESS_VOID "void"

enum { LIMIT_PROCESS_RECORD_BYTES = 4096 };

#endif
