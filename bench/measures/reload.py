# SPDX-License-Identifier: Apache-2.0
"""From SIGHUP to the commit - the new generation polls, the old one takes nothing more - while jobs come in all the time;
and what has become of them: how many were launched twice, or never.

A commit is told by the line in gantryd's log, which has its time.  It is about processes that start: the same daemon
with 64 workers shows what each of them adds."""

import datetime
import re
import signal
import statistics
import threading
import time
from collections import Counter

from auditor import read_pages
from harness import AwsSim, main_job, wait_until
from lib.daemon import start_daemon
from lib.rows import Row, at_most
from lib.sending import SqsSender, send_at_pace

PER_S = 50
COMMITTED = r'time=(\S+) .*msg="reload committed: generation {generation} replaced'


def committed_s(daemon, generation):
    """The wall clock's time of the commit."""
    stamp = daemon.wait_for(COMMITTED.format(generation=generation), 60).group(1)
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def only_generation(daemon, generation):
    return {worker["generation"] for worker in daemon.status()["workers"]} == {generation}


class Load(threading.Thread):
    """Jobs at a steady pace until it is told to end; .sent are the messages' ids."""

    def __init__(self, sim):
        super().__init__()
        self.sender, self.sent, self.over = SqsSender(sim.port, sim.queue_url("deploys")), [], threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.over.is_set():
                number = len(self.sent)
                self.sent += send_at_pace(self.sender, lambda i: {"project": f"p{number + i}"}, PER_S, PER_S)
        except Exception as failure:    # told by end(), in the thread that waits
            self.failure = failure

    def end(self):
        self.over.set()
        self.join()
        if self.failure is not None:
            raise self.failure


def affected(sim, sent):
    """(launched twice or more, launched never, received more than once) of the messages that were sent, and how many
    calls of all failed."""
    tasks = Counter(task["environment"]["GANTRY_JOB"].rsplit(":", 1)[-1] for task in read_pages(sim.url, "tasks"))
    messages = {m["id"]: m for m in read_pages(sim.url, "messages")}
    outcomes = [counts for calls in sim.stats()["calls"].values() for counts in calls.items()]
    return (sum(tasks[job] > 1 for job in sent), sum(tasks[job] == 0 for job in sent),
            sum(len(messages[job]["receives"]) > 1 for job in sent),
            sum(count for outcome, count in outcomes if outcome != "ok"))


def reloads(bench, workers, count):
    """(milliseconds of each, jobs sent meanwhile, what became of them, processes that had to be killed)."""
    directory = bench.directory(f"reload-{workers}")
    sim = bench.keep(AwsSim(directory, "--queue", "deploys", "--no-auth"))
    text = main_job(directory, sim.url, sim.queue_url("deploys"), workers=workers, wait_time="2s" if bench.quick else "5s",
                    visibility_timeout="2m", drain_timeout="30s")
    daemon = start_daemon(bench, directory, text, workers)
    load, times = Load(sim), []
    load.start()
    try:
        for generation in range(2, 2 + count):
            began_s = time.time()
            daemon.signal(signal.SIGHUP)
            times.append((committed_s(daemon, generation) - began_s) * 1000)
            wait_until("the old generation has left", lambda: only_generation(daemon, generation), 120, pause=0.2)
    finally:
        load.end()
    wait_until("all are deleted", lambda: sim.get("/_account")["messages"]["deleted"] == len(load.sent), 120, pause=0.2)
    found, killed = affected(sim, load.sent), daemon.text().count("did not leave in time; killed")
    bench.stop_kept()
    return times, len(load.sent), found, killed


def measure(bench):
    count = 2 if bench.quick else 10
    for workers in (4, 64):
        times, sent, (doubled, lost, again, failed), killed = reloads(bench, workers, count)
        note = f"median of {count}, {min(times):.0f} to {max(times):.0f} ms; {PER_S} jobs a second come in meanwhile"
        name = f"{workers} workers, HUP to commit"
        if workers == 4:
            yield at_most("reload", name, statistics.median(times), "ms", 300, note)
        else:
            yield Row("reload", name, statistics.median(times), "ms", note=note)
        note = f"of {sent:,} sent, over {count} reloads"
        late = f"; {killed} processes did not leave in time" if killed else ""
        yield at_most("reload", f"{workers} workers, jobs launched twice", doubled, "", 0, note)
        yield at_most("reload", f"{workers} workers, jobs never launched", lost, "", 0, note)
        yield at_most("reload", f"{workers} workers, messages received again", again, "", 0, note + late)
        yield at_most("reload", f"{workers} workers, AWS calls that failed", failed, "", 0)
