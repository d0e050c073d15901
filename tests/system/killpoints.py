# SPDX-License-Identifier: Apache-2.0
"""Lanes for tests that kill a process at one of its system calls, over and over.

A lane has a directory, a simulator and a gantryd of its own and tries one point after another; several
lanes share the points.  A point is a number n: the process is killed as it asks for its n-th system
call after a known moment (killer/killer.c).  What a point must leave behind is read from the
simulator's account and from the store."""

import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

from harness import BUILDDIR, PlainAwsSim, PlainGantry, deadline_s, wait_until

KILLER = BUILDDIR / "tests/system/killer/killer"
VISIBILITY_S = 30

CONFIGURATION = """
supervisor:
  workers: {workers}
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  drain_timeout: {drain_timeout}
  watchdog: 0
  probation: 0
  lease: {lease}
  restart_delay: 10ms
  restart_delay_max: 100ms
store: sqlite://{directory}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{endpoint}" }}
queues:
  deploys:
    type: sqs
    url: {queue_url}
    visibility_timeout: {visibility_s}s
    wait_time: {wait_time}
    delete_linger: 0s
    default_deployer: app
deployers:
  app:
    type: ecs
    cluster: prod
    task_definition: "deployer:1"
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
"""


class Killer:
    """killer PID N.  Returns from its start once the process is about to wait for its next event."""

    def __init__(self, pid, n):
        self.process = subprocess.Popen([str(KILLER), str(pid), str(n)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        word = self.process.stdout.readline().split()
        if word[:1] != ["attached"]:
            said = self.process.stderr.read()
            self.process.wait(deadline_s(60))
            raise AssertionError(f"process {pid} could not be followed: {said or word}")

    def has_killed(self):
        return self.process.poll() is not None

    def finish(self):
        """Lets go of a process that lives still; (whether it was killed, calls counted, number of the last)."""
        self.process.send_signal(signal.SIGTERM)
        said, complaint = self.process.communicate(timeout=deadline_s(60))
        word, count, number = said.split()
        assert word in ("killed", "counted", "ended"), said + complaint
        return word == "killed", int(count), int(number)


def ask_control(path, request):
    """One request to the control socket; its lines as (name, text)."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(deadline_s(60))
        control.connect(str(path))
        control.sendall(request.encode() + b"\n")
        lines = []
        for line in control.makefile():
            lines.append(line.rstrip("\n"))
            if line.startswith("end "):
                return lines
    return lines


def words(line):
    return dict(re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)', line))


class Lane:
    """A simulator and a gantryd; points are tried one after another."""

    def __init__(self, directory, *, workers=1, run_ms=50, wait_time="4s", drain_timeout="0s", lease="1h"):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.sim = PlainAwsSim(self.directory, "--queue", "deploys", "--no-auth", "--task-start-ms", "5",
                               "--task-run-ms", run_ms, "--task-stop-ms", "1")
        self.text = CONFIGURATION.format(
            directory=self.directory, endpoint=self.sim.url, queue_url=self.sim.queue_url("deploys"),
            visibility_s=VISIBILITY_S, workers=workers, wait_time=wait_time, drain_timeout=drain_timeout,
            lease=lease)
        self.daemon = None
        self.starts = 0

    # -- the daemon

    def start(self):
        if self.daemon is not None:
            self.daemon.process.wait(deadline_s(60))
            self.daemon.stop()
        self.daemon = PlainGantry(self.directory, self.text, name="gantryd")
        self.daemon.wait_ready()

    def status(self):
        return ask_control(self.directory / "control.sock", "status")

    def active(self):
        """The pids of workers that take jobs."""
        return [int(words(line)["pid"]) for line in self.status()
                if line.startswith("worker ") and words(line)["state"] == "active"]

    def wait_active(self, besides=()):
        return wait_until("a worker takes jobs", lambda: [p for p in self.active() if p not in besides], pause=0.005)

    def processes(self):
        """Pids of what runs on this lane's behalf, whoever its parent is now."""
        mark, found = f"HOME={self.directory}".encode(), []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
            except OSError:
                pass    # it has gone, or is not ours
        return found

    def close(self):
        """Stops everything; nothing that was started may be left then."""
        try:
            if self.daemon is not None:
                assert self.daemon.stop() in (0, -signal.SIGKILL)
            wait_until("the last worker to leave", lambda: not self.processes(), 20)
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            self.sim.stop()

    # -- a job

    def send(self, job):
        self.sim.call("SendMessage", {"QueueUrl": self.sim.queue_url("deploys"),
                                      "MessageBody": json.dumps({"id": job, "project": f"project-{job}"})})

    def tasks(self, job):
        return self.sim.get(f"/_account/tasks?env=GANTRY_JOB&value={job}")["tasks"]

    def deleted(self):
        return self.sim.get("/_account")["messages"]["deleted"]

    def received_again(self):
        return self.sim.get("/_account")["messages"]["received_again"]

    def row(self, job):
        """(state, settled, owner, holder of its lock) from the store; None: it does not know the job."""
        path = self.directory / "gantry.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            return db.execute("SELECT j.state, j.settled, l.holder FROM jobs j LEFT JOIN locks l ON l.key = j.lock_key"
                              " WHERE j.id = ?", (job,)).fetchone()

    def is_done(self, job):
        row = self.row(job)
        assert row is None or row[0] != "failed", f"{job} failed"
        return row is not None and row[0] == "succeeded" and row[1]

    def wait_done(self, job, deleted):
        """Until its result is stored and its message gone.  A message that went to a worker that died before
        it could store the job is hidden; its time is hurried along, as nothing else can happen meanwhile."""
        hurried = time.monotonic() + 0.2

        def look():
            nonlocal hurried
            if self.is_done(job):
                return self.deleted() >= deleted
            if self.row(job) is None and time.monotonic() > hurried:
                self.sim.post("/_admin/clock", {"advance_s": VISIBILITY_S + 1})
                hurried = time.monotonic() + 1
            return False

        wait_until(f"{job} done", look, 30, pause=0.01)

    def check(self, job):
        """What is wrong about a finished job; ''."""
        tasks, row = self.tasks(job), self.row(job)
        if len(tasks) != 1:
            return f"{len(tasks)} tasks"
        if row != ("succeeded", 1, None):
            return f"in the store: {row}"
        return ""


class Points:
    """Numbers 1 to last in a seeded order, given out until all are tried, or the time is over and so many have killed
    that it means something."""

    ENOUGH = 20
    MOST_S = 240            # however slow the machine is

    def __init__(self, last, budget_s, choose_all, seed):
        self.left = list(range(1, last + 1))
        random.Random(seed).shuffle(self.left)
        self.last, self.seed = last, seed
        self.end = None if choose_all else time.monotonic() + budget_s
        self.last_end = time.monotonic() + self.MOST_S
        self.lock = threading.Lock()
        self.tried, self.calls, self.wrong = [], {}, []

    def take(self):
        with self.lock:
            if not self.left or self.is_over(time.monotonic()):
                return None
            return self.left.pop()

    def is_over(self, now):
        return self.end is not None and now > self.end and (self.killed() >= self.ENOUGH or now > self.last_end)

    def note(self, n, killed, number, wrong):
        with self.lock:
            self.tried.append((n, killed))
            if killed:
                self.calls[number] = self.calls.get(number, 0) + 1
            if wrong:
                self.wrong.append(f"n {n} (system call {number}): {wrong}")

    def killed(self):
        return sum(killed for _, killed in self.tried)

    def summary(self):
        return (f"{self.killed()} kills at {self.last} system calls of the path, {len(self.calls)} different "
                f"ones, {len(self.tried) - self.killed()} past the end, seed {self.seed}, {len(self.wrong)} violations")


def run_lanes(lanes, points, try_point):
    """Each lane in a thread of its own, over the shared points."""
    failures = []

    def work(lane):
        n = None
        try:
            while (n := points.take()) is not None:
                try_point(lane, points, n)
        except Exception as failure:    # pylint: disable=broad-except
            failures.append(f"{lane.directory.name}, n {n}: {failure!r}\n{lane.daemon.text()[-3000:]}")

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, "\n".join(failures)


def wants_all():
    return os.environ.get("GANTRY_KILL_POINTS") == "all"


def choose_seed():
    return int(os.environ.get("GANTRY_KILL_SEED") or random.SystemRandom().randrange(1 << 32))

