# SPDX-License-Identifier: Apache-2.0
"""Draining a backlog: RunTask for each message, and the message deleted; what that takes and costs.

Everybody is given a smaller backlog first, with which runtimes warm up.  gantryd is told that the account may launch as
fast as it likes (aws.run_task_rate), as the others believe without being told; a fresh daemon that has to find it out is a
row of its own: it begins with the 20 tasks a second that every account may have, and doubles that once a second.

gantryd does more than those it is compared with: it writes every step to its store (SQLite, durable), keeps a lock for each
project, watches each task to its end and deletes the message only then.  What else matters to its speed is at its default.
The others launch, delete and forget."""

import time
from dataclasses import dataclass

from harness import main_job, wait_until
from lib.backlog import Backlog
from lib.cost import Cost
from lib.daemon import READY_S, Daemon
from lib.rows import Row, at_least, at_most
from peers.celery_worker import CeleryWorker, RedisBacklog, SqsBacklog
from peers.pm2 import INSTANCES, Pm2

JOBS, JOBS_QUICK = 20000, 3000
WARM_UP, WARM_UP_QUICK = 3000, 1000
FRESH_JOBS = 1500
TOLD = ", run_task_rate: 20000"
SETTLE_S = 3            # after its start, before its idle memory is looked at
KIB_PER_MB = 1e6 / 1024


@dataclass
class Drained:
    jobs_s: float
    launched_s: float       # jobs launched a second
    cpu_s: float            # per 1,000 jobs
    calls: float            # per job, DescribeTasks apart
    watching: float
    idle_mb: float
    peak_mb: float
    doubled: int
    jobs: int


class DrainingDaemon(Daemon):
    @property
    def roots(self):
        return [self.pid]

    def complaints(self):
        return "\n".join(line for line in self.text().splitlines() if "level=error" in line)


def start_gantryd(bench, directory, backlog, workers, rate=TOLD):
    text = main_job(directory, backlog.sim.url, backlog.url, workers=workers, wait_time="20s", visibility_timeout="2m",
                    aws_extra=rate)
    daemon = bench.keep(DrainingDaemon(directory, text))
    wait_until(f"{workers} workers are active", lambda: len(daemon.receivers()) == workers, READY_S)
    return daemon


def drain(bench, name, make_backlog, make_consumer, share=1):
    """Has one consumer drain one backlog; share: of the usual number of jobs, for those that would take minutes."""
    bench.say(f"throughput: {name}")
    jobs = int((JOBS_QUICK if bench.quick else JOBS) * share)
    warm_up = int((WARM_UP_QUICK if bench.quick else WARM_UP) * share)
    directory = bench.directory("throughput")
    backlog = make_backlog(bench, directory, warm_up)
    consumer = make_consumer(bench, directory, backlog)
    # The one wait for time itself: a runtime goes on loading for a while after it says that it is ready.
    time.sleep(SETTLE_S)
    cost = Cost(*consumer.roots)
    idle_mb = cost.look().pss_kib / KIB_PER_MB
    backlog.fill()
    backlog.release()
    backlog.wait_done(warm_up)
    backlog.again(jobs)
    backlog.fill()
    before = cost.look()
    with cost.watching() as seen:
        backlog.release()
        backlog.wait_done(jobs)
        after = cost.look()
    distinct, doubled = backlog.launches()
    assert distinct == warm_up + jobs, f"{name}: {distinct} of {warm_up + jobs} were launched; {consumer.complaints()[:500]}"
    calls, watching = backlog.calls_per_job()
    drained = Drained(jobs / backlog.drained_s(), jobs / backlog.launched_s(), (after.cpu_s - before.cpu_s) * 1000 / jobs, calls,
                      watching, idle_mb, seen.peak_pss_kib / KIB_PER_MB, doubled, jobs)
    # Nobody then waits for the end of a long poll.
    backlog.sim.stop()
    bench.stop_kept()
    return drained


def fresh_row(bench):
    """Nobody has told this one how fast it may launch, and it has not launched anything yet."""
    bench.say("throughput: a fresh gantryd that isn't told the account's rate")
    directory = bench.directory("throughput-fresh")
    backlog = Backlog(bench, directory, FRESH_JOBS)
    start_gantryd(bench, directory, backlog, 4, rate="")
    backlog.fill()
    backlog.release()
    backlog.wait_done(FRESH_JOBS)
    took_s = backlog.drained_s()
    backlog.sim.stop()
    bench.stop_kept()
    return Row("throughput", "a fresh gantryd with 4 that isn't told the rate: first jobs settled", FRESH_JOBS / took_s, "jobs/s",
               note=f"{FRESH_JOBS:,} in {took_s:.1f} s; it begins with 20 a second, and what it finds out it keeps")


def rows_of(name, found, note=""):
    yield Row("throughput", f"{name}: jobs settled", found.jobs_s, "jobs/s", note=f"of {found.jobs:,}{'; ' if note else ''}{note}")
    yield Row("throughput", f"{name}: CPU per 1,000 jobs", found.cpu_s, "s")
    yield Row("throughput", f"{name}: calls per job", found.calls, "",
              note=f"and {found.watching:.3f} DescribeTasks" if found.watching else "")
    yield Row("throughput", f"{name}: memory idle", found.idle_mb, "MB")
    yield Row("throughput", f"{name}: memory loaded", found.peak_mb, "MB", note="the most that was seen, looking twice a second")
    if found.doubled:
        yield Row("throughput", f"{name}: launched twice", found.doubled, "jobs")


PEERS = {
    f"sqs-consumer, batches, pm2 with {INSTANCES}": (Backlog, lambda *given: Pm2(*given, "batch")),
    f"sqs-consumer, plain, pm2 with {INSTANCES}": (Backlog, lambda *given: Pm2(*given, "plain")),
    "Celery on Redis, pool of 4": (RedisBacklog, CeleryWorker),
    "Celery on SQS, pool of 4": (SqsBacklog, CeleryWorker, 1 / 4),
}
NOTES = {"Celery on Redis, pool of 4": "a message is taken off Redis before the task runs; redis-server isn't counted"}
DAEMONS, DAEMONS_QUICK = (1, 2, 4), (1, 4)


def ratios(bench, daemons, peers):
    """What the goals are about: gantryd beside the best of the others in each respect, and beside the floor."""
    four = daemons[4]
    fastest = max(daemons, key=lambda workers: daemons[workers].jobs_s)
    best = max(peers, key=lambda name: peers[name].jobs_s)
    yield at_least("throughput", "gantryd : best peer, jobs/s", daemons[fastest].jobs_s / peers[best].jobs_s, "times", 3,
                   f"{fastest} workers : {best}")
    thriftiest = min(peers, key=lambda name: peers[name].cpu_s)
    least = min(daemons, key=lambda workers: daemons[workers].cpu_s)
    for workers in dict.fromkeys((least, 4)):
        yield at_most("throughput", f"gantryd with {workers} : best peer, CPU per job",
                      daemons[workers].cpu_s / peers[thriftiest].cpu_s, "times", 1 / 8, thriftiest)
    floor = bench.value("floor", "CPU per 1,000 jobs")
    if floor:
        for workers in dict.fromkeys((least, 4)):
            yield at_most("throughput", f"gantryd with {workers} : floor, CPU per job", daemons[workers].cpu_s / floor, "times", 1.3)
    yield at_most("throughput", "gantryd with 4: memory idle, all processes", four.idle_mb, "MB", 16)
    lightest = min(peers, key=lambda name: peers[name].peak_mb)
    for name in dict.fromkeys((best, lightest)):
        yield at_most("throughput", f"gantryd with 4 : {name}, memory loaded", four.peak_mb / peers[name].peak_mb, "times", 1 / 12,
                      " and ".join(word for word, who in (("the fastest peer", best), ("the lightest peer", lightest)) if who == name))
    yield at_most("throughput", "gantryd: calls per job", max(found.calls for found in daemons.values()), "", 1.22,
                  "the most of 1, 2 and 4 workers")


def measure(bench):
    daemons, peers = {}, {}
    for workers in DAEMONS_QUICK if bench.quick else DAEMONS:
        name = f"gantryd with {workers}"
        daemons[workers] = drain(bench, name, Backlog, lambda *given, n=workers: start_gantryd(*given, n))
        found = daemons[workers]
        yield from rows_of(name, found, f"launched {found.launched_s:,.0f} a second")
    yield fresh_row(bench)
    for name, how in PEERS.items():
        peers[name] = drain(bench, name, *how)
        yield from rows_of(name, peers[name], NOTES.get(name, ""))
    yield from ratios(bench, daemons, peers)
