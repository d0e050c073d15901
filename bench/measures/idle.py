# SPDX-License-Identifier: Apache-2.0
"""A daemon of four workers that has nothing to do, after it has had: wakeups, CPU, memory, and calls that cost money.

Watched for a minute (15 s with --quick; GANTRY_BENCH_IDLE_S sets it: 600 for ten minutes), and told per hour."""

import os
import time

from harness import AwsSim, main_job, send_jobs, wait_until
from lib.backlog import calls_of
from lib.cost import cpu_s, pss_kib, wakeups
from lib.daemon import free_port, start_daemon
from lib.rows import Row, at_most

WORKERS = 4
JOBS = 200
API = """
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: deploys
  tokens: [ {{ name: bench, token: as-good-as-any-other-one, may: [read] }} ]
"""


def start(bench, extra="", jobs=JOBS):
    directory = bench.directory("idle")
    sim = bench.keep(AwsSim(directory, "--queue", "deploys"))
    daemon = start_daemon(bench, directory, main_job(directory, sim.url, sim.queue_url("deploys"), workers=WORKERS,
                                                     wait_time="20s", visibility_timeout="2m", extra=extra), WORKERS)
    send_jobs(daemon, [{"project": f"p{i}"} for i in range(jobs)])
    wait_until("all are deleted", lambda: sim.get("/_account")["messages"]["deleted"] == jobs, 60)
    # The polls of the rush end first: an idle queue costs one poll a worker.
    wait_until("one poll a worker", lambda: all(q["receiving"] == q["workers"] for q in daemon.status()["queues"]), 60,
               pause=1)
    return sim, daemon


def look(pids):
    return {name: (wakeups(pid), cpu_s(pid)) for name, pid in pids.items()}


def pss_mb(pids):
    return sum(pss_kib(pid) for pid in pids.values()) * 1024 / 1e6


def measure(bench):
    watched_s = float(os.environ.get("GANTRY_BENCH_IDLE_S", "15" if bench.quick else "60"))
    sim, daemon = start(bench)
    pids = daemon.pids()
    before, calls, began_s = look(pids), calls_of(sim.stats()), time.monotonic()
    # What is measured is that nothing happens meanwhile.
    time.sleep(watched_s)
    after, made, elapsed_s = look(pids), calls_of(sim.stats()), time.monotonic() - began_s
    rates = {name: (after[name][0] - before[name][0]) / elapsed_s for name in pids}
    shares = {name: (after[name][1] - before[name][1]) / elapsed_s * 100 for name in pids}
    workers = [name for name in pids if name != "master"]
    note = f"in {elapsed_s:.0f} s; the worst of {WORKERS} workers"
    yield at_most("idle", "wakeups per second and worker", max(rates[name] for name in workers), "/s", 1, note)
    yield Row("idle", "wakeups per second, master", rates["master"], "/s")
    yield at_most("idle", "CPU per worker", max(shares[name] for name in workers), "%", 0.1, note)
    yield Row("idle", "CPU of the whole daemon", sum(shares.values()), "%")
    yield at_most("idle", f"memory (PSS), whole daemon with {WORKERS} workers", pss_mb(pids), "MB", 16,
                  f"after {JOBS} jobs")
    total = sum(made.values()) - sum(calls.values())
    kinds = ", ".join(sorted(action for action in made if made[action] > calls.get(action, 0)))
    yield Row("idle", "AWS calls per idle hour", total * 3600 / elapsed_s, "",
              note=f"extrapolated from {total} in {elapsed_s:.0f} s; wait_time 20 s, {WORKERS} workers: {kinds}")
    bench.stop_kept()
    if bench.quick:
        return
    sim, daemon = start(bench, API.format(port=free_port()), jobs=1)
    yield Row("idle", "memory (PSS), the API's process besides", pss_mb({"api": daemon.api()[0]["pid"]}), "MB")
