# SPDX-License-Identifier: Apache-2.0
"""10 to 10,000 tasks that run at once, held by one worker: memory for each, CPU, and calls per minute.

The tasks run until the end of the measure.  Each number is watched from some time after its last launch on, when all
that goes on is looking after them: DescribeTasks, 100 a call and the less often the older a task is, and the messages'
visibility, ten a call."""

import time

from harness import AwsSim, main_job, send_jobs, wait_until
from lib.backlog import calls_of
from lib.cost import cpu_s, pss_kib
from lib.daemon import start_daemon
from lib.rows import Row, at_most

LEVELS, LEVELS_QUICK = (10, 100, 1000, 10000), (1000, 10000)
DAY_MS = 86_400_000


def pss_mb(pid):
    return pss_kib(pid) * 1024 / 1e6


def launch(sim, daemon, first, level, settle_s):
    send_jobs(daemon, [{"project": f"p{i}"} for i in range(first, level)])
    wait_until(f"{level} tasks run", lambda: sim.get("/_account")["tasks"]["started"] == level, 180, pause=0.5)
    time.sleep(settle_s)


def watch(sim, pid, seconds):
    """(% of a core, {action: calls a minute}), of the worker."""
    cpu, calls, began_s = cpu_s(pid), calls_of(sim.stats()), time.monotonic()
    time.sleep(seconds)
    elapsed_s, now = time.monotonic() - began_s, calls_of(sim.stats())
    rates = {action: (now[action] - calls.get(action, 0)) * 60 / elapsed_s for action in now}
    return (cpu_s(pid) - cpu) * 100 / elapsed_s, rates


def rows_of(level, memory_mb, cpu, rates, judged, note):
    memory_name, cpu_name = f"{level:,} in flight, memory (PSS) of the worker", f"{level:,} in flight, CPU, of a core"
    if judged:
        yield at_most("in flight", memory_name, memory_mb, "MB", 48)
        yield at_most("in flight", cpu_name, cpu, "%", 7, note)
    else:
        yield Row("in flight", memory_name, memory_mb, "MB")
        yield Row("in flight", cpu_name, cpu, "%", note=note)
    yield Row("in flight", f"{level:,} in flight, calls per minute", sum(rates.values()), "",
              note=", ".join(f"{action} {rate:.0f}" for action, rate in sorted(rates.items()) if rate > 0))


def measure(bench):
    watched_s, settle_s = (8, 5) if bench.quick else (30, 20)
    levels = LEVELS_QUICK if bench.quick else LEVELS
    directory = bench.directory("inflight")
    sim = bench.keep(AwsSim(directory, "--queue", "deploys", "--task-run-ms", DAY_MS))
    text = main_job(directory, sim.url, sim.queue_url("deploys"), workers=1, wait_time="20s", visibility_timeout="2m",
                    max_in_flight=levels[-1])
    daemon = start_daemon(bench, directory, text, 1)
    pid = daemon.receivers()[0]["pid"]
    empty_mb, last = pss_mb(pid), 0
    yield Row("in flight", "none in flight, memory (PSS) of the worker", empty_mb, "MB")
    for level in levels:
        launch(sim, daemon, last, level, settle_s)
        last = level
        cpu, rates = watch(sim, pid, watched_s)
        memory_mb = pss_mb(pid)
        yield from rows_of(level, memory_mb, cpu, rates, level == levels[-1],
                           f"over {watched_s} s, {settle_s} s after the last launch")
    yield Row("in flight", "memory for each job", (memory_mb - empty_mb) * 1000 / last, "kB",
              note=f"from none to {last:,}")
