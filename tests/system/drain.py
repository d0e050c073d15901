# SPDX-License-Identifier: Apache-2.0
"""A long Redis list of bare ids, drained by several workers: how fast, and whether in order.

    /usr/bin/python3 tests/system/drain.py [--items 100000] [--ids 1000] [--deployer process] [--store redis] ...

The items are pushed in one order; an id that is pushed again is the same project once more.  What is promised, and counted
here from awssim's account (or from what the commands wrote), the store, and the list of what was pushed:

    lost, doubled   each item is launched, and once
    taken           the n-th item that was pushed is the n-th that is taken, whichever worker takes it
    order           items of one id are launched in the order they were accepted, one after the other

Between taking and acceptance the workers are side by side, each with up to a hundred items: what one has taken earlier may
be accepted later.  How many items were overtaken by one of the same id in that gap is told, as a figure.

BUILDDIR is the build tree; exit status 0: nothing was lost, doubled, or out of order."""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import auditor
from conftest import free_port
from harness import AwsSim, Gantry, wait_until
from stores import DurableRedis, make_store

CONFIGURATION = """
supervisor: {{ workers: {workers}, pid_file: {directory}/gantryd.pid, control_socket: {directory}/control.sock,
  state_dir: {directory}/state }}
log: {{ level: warn }}
store: {store}
aws: {{ region: us-east-1, endpoint_url: "{endpoint}" }}
queues:
  builds:
    type: redis
    url: {redis}
    list: build-queue
    body: {{ project: "{{{{ body }}}}", deployer: {deployer} }}
deployers:
  process:
    type: process
    commands: [ 'echo "$$GANTRY_JOB" >> {directory}/ran' ]
    parallel: 16
  ecs:
    type: ecs
    cluster: prod
    task_definition: builder:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
"""


class Drain:
    def __init__(self, directory, deployer, workers, store):
        self.directory, self.deployer = Path(directory), deployer
        self.sim = self.redis = self.store = self.daemon = None
        try:
            self.sim = AwsSim(directory, "--no-auth", "--task-start-ms", "0", "--task-run-ms", "10")
            self.redis = DurableRedis(directory, free_port())
            self.store = make_store(store, directory, free_port()) if store != "redis" else None
            text = CONFIGURATION.format(directory=directory, workers=workers, endpoint=self.sim.url, redis=self.redis.url,
                                        deployer=deployer, store=self.store_url)
            self.daemon = Gantry(directory, text)
            # Its log says no more than warnings.
            wait_until("ready", lambda: self.daemon.ctl("status", check=False).returncode == 0 and
                       len(self.daemon.workers()) == workers, 120)
        except BaseException:
            self.close()
            raise

    @property
    def store_url(self):
        """A Redis that is both keeps the list apart by its name."""
        return self.store.url if self.store is not None else self.redis.url

    def cli(self, *words, given=None):
        return subprocess.run(["redis-cli", "-u", self.redis.url, *words], input=given, capture_output=True, text=True,
                              timeout=120, check=True).stdout

    def push(self, items):
        for at in range(0, len(items), 1000):
            self.cli("LPUSH", "build-queue", *items[at:at + 1000])

    def left(self):
        """Items that are not settled."""
        counts = self.cli(given="LLEN build-queue\nLLEN build-queue:gantry:taking\nHLEN build-queue:gantry:held\n").split()
        return sum(map(int, counts))

    def drain(self, patience_s, say):
        left, moved_at, told_at = self.left(), time.monotonic(), time.monotonic()
        while left > 0:
            time.sleep(0.2)             # between two looks
            before, left, now = left, self.left(), time.monotonic()
            moved_at = now if left != before else moved_at
            if now - moved_at > patience_s:
                raise AssertionError(f"{left} items are left, and nothing moves")
            if now - told_at > 10:
                told_at = now
                say(f"{left} left")

    def launched(self):
        """Jobs, in the order of their launches."""
        if self.deployer == "process":
            return (self.directory / "ran").read_text(encoding="utf-8").split()
        return [task["environment"]["GANTRY_JOB"] for task in auditor.read_account(self.sim.url)[0]]

    def close(self):
        for program in (self.daemon, self.sim, self.redis, self.store):
            if program is not None:
                program.stop()


def inversions(numbers):
    """How many stand behind a larger one."""
    largest, count = -1, 0
    for number in numbers:
        count += number < largest
        largest = max(largest, number)
    return count


def judge(items, jobs, launched):
    """The counts; jobs are the store's records."""
    # The name that an item got when it was taken ends with its number, and a text that is unlike any before.
    taken = sorted(jobs.values(), key=lambda job: int(job["id"].rsplit(":", 1)[-1].split("-")[0]))
    turn = {job["id"]: number for number, job in enumerate(taken)}
    times = Counter(launched)
    of_project = defaultdict(list)
    for job in launched:
        if job in jobs:
            of_project[jobs[job]["project"]].append(job)
    return {
        "lost": len(items) - sum(jobs[job]["state"] == "succeeded" for job in times if job in jobs),
        "doubled": sum(count > 1 for count in times.values()) + sum(job not in jobs for job in times),
        "taken out of order": sum(job["project"] != item for job, item in zip(taken, items)),
        "order violations": sum(inversions([jobs[j]["seq"] for j in order]) for order in of_project.values()),
        "overtaken before acceptance": sum(inversions([turn[j] for j in order]) for order in of_project.values()),
    }


MUST_BE_NONE = ("lost", "doubled", "taken out of order", "order violations")


def drain(directory, items, ids, deployer="ecs", workers=4, store="sqlite", seed=1, patience_s=120, say=lambda text: None):
    """The figures of one run."""
    dice = random.Random(seed)
    pushed = [f"site-{dice.randrange(ids):05}" for _ in range(items)]
    world = Drain(directory, deployer, workers, store)
    try:
        began = time.monotonic()
        world.push(pushed)
        say(f"{items} items are pushed")
        world.drain(patience_s, say)
        seconds = time.monotonic() - began
        world.daemon.stop(timeout=120)
        left = auditor.read_store(world.store_url)
        return {"items": items, "ids": ids, "deployer": deployer, "workers": workers, "store": store,
                "seconds": round(seconds, 1), "jobs/s": round(items / seconds), **judge(pushed, left.jobs, world.launched()),
                "keys held": len(left.locks)}
    finally:
        world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=100000)
    parser.add_argument("--ids", type=int, default=1000)
    parser.add_argument("--deployer", choices=("ecs", "process"), default="ecs")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--store", choices=("sqlite", "redis", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gantry-drain-") as directory:
        figures = drain(directory, **vars(options), say=lambda text: print(time.strftime("%H:%M:%S"), text, file=sys.stderr,
                                                                           flush=True))
    print(json.dumps(figures))
    return 0 if not any(figures[name] for name in MUST_BE_NONE) else 1


if __name__ == "__main__":
    sys.exit(main())
