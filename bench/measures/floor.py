# SPDX-License-Identifier: Apache-2.0
"""The floor: the calls that a job needs, made by a loop of libcurl without any logic (bench/floor.c).

It shares no code with gantry: its own signing with keys derived once, its own epoll, handles and headers made once.
Nobody who makes these calls with libcurl can be much cheaper; nobody who may lose or double a job has to be dearer."""

import json
import subprocess

from harness import CREDENTIALS, clean_environment
from lib.backlog import Backlog
from lib.rows import Row

RUNS, RUNS_QUICK = 3, 5
TIMEOUT_S = 120


def run(bench, backlog, *options, jobs=None):
    """One run of the program; what it says of itself."""
    argv = [str(bench.build / "bench/floor"), "--endpoint", backlog.sim.url, "--queue-url", backlog.url,
            "--count", str(jobs or backlog.jobs), *options]
    done = subprocess.run(argv, env=clean_environment(**CREDENTIALS), capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def best(bench, name, jobs, *options):
    """The run of the lowest CPU time: whatever else the machine did can only have added to it."""
    runs = []
    for _ in range(RUNS_QUICK if bench.quick else RUNS):
        backlog = Backlog(bench, bench.directory(f"floor-{name}"), jobs)
        backlog.fill()
        backlog.release()
        runs.append(run(bench, backlog, *options))
        bench.stop_kept()
    return min(runs, key=lambda found: found["cpu_s"])


def cpu_per_1000(found):
    return found["cpu_s"] * 1000 / found["jobs"]


def measure(bench):
    jobs = 3000 if bench.quick else 20000
    note = f"best of {RUNS_QUICK if bench.quick else RUNS}, {jobs:,} jobs"
    least = best(bench, "least", jobs)
    yield Row("floor", "CPU per 1,000 jobs", cpu_per_1000(least), "s", note=f"{note}; handles and headers made once")
    yield Row("floor", "throughput", least["jobs"] / least["seconds"], "jobs/s", note="of the same run, one process")
    yield Row("floor", "calls per job", sum(least["calls"].values()) / jobs, "")
    watching = best(bench, "watching", jobs, "--describe")
    yield Row("floor", "CPU per 1,000 jobs, each described once", cpu_per_1000(watching), "s",
              note=f"{note}; one DescribeTasks per 100, its answer not parsed")
    usual = best(bench, "usual", jobs, "--new-handles", "--describe")
    yield Row("floor", "CPU per 1,000 jobs, a new handle for each call", cpu_per_1000(usual), "s",
              note=f"{note}; each described once; connections are kept")
