# SPDX-License-Identifier: Apache-2.0
"""`pm2 reload` of four sqs-consumers while they work, and what it does to the jobs.

A RunTask takes 100 ms here, which is quick for ECS: without that nothing would be under way for long enough to be hit.  The
application as people write it first knows nothing of signals; the second one drains, as sqs-consumer's README shows."""

from lib.backlog import VISIBILITY_S, Backlog
from lib.rows import Row
from peers.pm2 import INSTANCES, Pm2

JOBS, JOBS_QUICK = 8000, 2500
RUN_TASK_MS = 100
UNDER_WAY = 300         # jobs that are over when the reload begins


def reload(bench, name, drain):
    bench.say(f"reload: {name}")
    directory = bench.directory("reload-pm2")
    backlog = Backlog(bench, directory, JOBS_QUICK if bench.quick else JOBS)
    backlog.fill()
    backlog.sim.fault(action="RunTask", kind="delay", ms=RUN_TASK_MS, probability=1)
    consumers = Pm2(bench, directory, backlog, "batch", drain=drain)
    backlog.release()
    backlog.wait_done(UNDER_WAY)
    took_s = consumers.reload()
    left = backlog.jobs - backlog.done()
    assert left > 0, "the backlog was empty before the reload had ended"
    # What a killed process had received comes again when its time is over; nobody needs to wait for that.
    while backlog.wait_idle(INSTANCES) > 0:
        backlog.sim.post("/_admin/clock", {"advance_s": VISIBILITY_S + 1})
    doubled = backlog.launches()[1]
    bench.stop_kept()
    note = f"{backlog.jobs:,} jobs, RunTask takes {RUN_TASK_MS} ms"
    yield Row("reload", f"pm2, {INSTANCES} sqs-consumers, {name}: time", took_s * 1000, "ms", note=note)
    yield Row("reload", f"pm2, {INSTANCES} sqs-consumers, {name}: launched twice", doubled, "jobs")


def measure(bench):
    yield from reload(bench, "without draining", False)
    yield from reload(bench, "draining", True)
