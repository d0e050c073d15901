# SPDX-License-Identifier: Apache-2.0
"""One cell of the fault matrix: something happens to somebody at a certain moment, and afterwards the
simulator's own account and the store must tell that nothing was lost, doubled or interleaved.

A cell has a directory, a simulator, a Redis where it matters, and a gantryd of its own, so that many run
side by side."""

import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import time
from collections import defaultdict
from contextlib import closing

from conftest import free_port
from harness import BUILDDIR, PlainAwsSim, PlainGantry, RedisServer, wait_until
from killpoints import ask_control, words

LEASE_S, VISIBILITY_S = 3, 30
STOP_S = LEASE_S + 1.5          # longer than the lease
OUTAGE_S = 1.5
ANSWER_MS = 1200                # how long an answer is kept back, so that something can happen before it
WRONG_ANSWERS = 3               # of each kind, one after another
SETTLED_WITHIN_S = 150
QUIET_S = 3                     # so long nothing has happened when only hidden messages can be left
FULL_DISK = BUILDDIR / "tests/system/killer/full_disk.so"

CONFIGURATION = """
supervisor:
  workers: 2
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  drain_timeout: 1s
  watchdog: 0
  probation: 0
  lease: {lease_s}s
  restart_delay: 10ms
  restart_delay_max: 100ms
store: sqlite://{directory}/gantry.db
aws: {{ region: us-east-1, endpoint_url: "{endpoint}" }}
queues:
  deploys:
    type: sqs
    url: {standard_url}
    visibility_timeout: {visibility_s}s
    wait_time: 1s
    default_deployer: app
  ordered:
    type: sqs
    url: {fifo_url}
    visibility_timeout: {visibility_s}s
    wait_time: 1s
    default_deployer: app
deployers:
  app:
    type: ecs
    cluster: prod
    task_definition: "deployer:1"
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
{errors}
"""

# Project and queue of each job, in the order sent.
JOBS = [(f"{project}-{number}", project, queue) for number in range(2)
        for project, queue in (("a", "deploys"), ("b", "deploys"), ("f", "ordered.fifo"), ("g", "ordered.fifo"))]


class Cell:
    """The simulator, the daemon, and what a cell does to them."""

    def __init__(self, directory, *, run_ms=300, redis=False, preload=False):
        self.directory = directory
        directory.mkdir()
        self.programs = []
        self.sim = self.keep(PlainAwsSim(
            directory, "--queue", "deploys", "--queue", "ordered.fifo:FifoQueue=true,ContentBasedDeduplication=true",
            "--no-auth", "--task-start-ms", "20", "--task-run-ms", run_ms, "--task-stop-ms", "5"))
        self.redis_port = free_port() if redis else None
        self.redis = self.start_redis() if redis else None
        errors = f'errors: [ {{ type: redis, url: "redis://127.0.0.1:{self.redis_port}/0", list: errors }} ]'
        self.text = CONFIGURATION.format(
            directory=directory, endpoint=self.sim.url, standard_url=self.sim.queue_url("deploys"), lease_s=LEASE_S,
            fifo_url=self.sim.queue_url("ordered.fifo"), visibility_s=VISIBILITY_S, errors=errors if redis else "")
        self.environment = {"LD_PRELOAD": str(FULL_DISK), "FULL_DISK": str(directory / "full"),
                            "FULL_DISK_FILES": str(directory / "gantry.db")} if preload else {}
        self.daemon = None
        self.malformed = 0
        self.wrong_answers = 0          # ordered, of the simulator
        self.known = set()              # ids of messages

    def keep(self, program):
        self.programs.append(program)
        return program

    # -- the parts

    def start(self):
        self.daemon = self.keep(PlainGantry(self.directory, self.text, **self.environment))
        self.daemon.wait_ready()

    def start_redis(self):
        return self.keep(RedisServer(self.directory, self.redis_port))

    def log(self):
        return "".join(p.read_text(errors="replace") for p in sorted(
            self.directory.glob("gantryd*.log"), key=lambda p: p.stat().st_mtime))

    def workers(self, *states):
        """Pids of workers in these states; all without any."""
        found = [words(line) for line in ask_control(self.directory / "control.sock", "status")
                 if line.startswith("worker ")]
        return [int(w["pid"]) for w in found if w["state"] in states or not states]

    def worker_of(self, job):
        """The worker that spoke of the job last; the store has a job before its worker speaks of it."""
        return int(wait_until(f"a word about {job}", lambda: re.findall(
            rf'from="worker (\d+) generation \d+: job {job}"', self.log()), 60, pause=0.01)[-1])

    def rows(self, sql, *values):
        path = self.directory / "gantry.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            return db.execute(sql, values).fetchall()

    def first_in(self, condition):
        """The first job that the store has in such a state, waited for."""
        return wait_until(f"a job {condition}", lambda: self.rows(
            f"SELECT id FROM jobs WHERE {condition} ORDER BY seq"), 20, pause=0.01)[0][0]

    # -- messages

    def send_all(self):
        for job, project, queue in JOBS:
            group = {"MessageGroupId": project} if queue.endswith(".fifo") else {}
            self.sim.call("SendMessage", {"QueueUrl": self.sim.queue_url(queue), **group,
                                          "MessageBody": json.dumps({"id": job, "project": project})})

    def send_malformed(self):
        self.sim.call("SendMessage", {"QueueUrl": self.sim.queue_url("deploys"), "MessageBody": "{not json"})
        self.malformed += 1

    def answer_wrongly(self, kind, *actions):
        """The next answers to each of these."""
        for action in actions:
            self.sim.fault(action=action, kind=kind, count=WRONG_ANSWERS)
        self.wrong_answers = WRONG_ANSWERS * len(actions)

    # -- the end

    def account(self):
        return self.sim.get("/_account?env=GANTRY_JOB")

    def is_settled(self):
        told = self.account()["messages"]
        if told["deleted"] < len(JOBS) + self.malformed or self.rows("SELECT id FROM jobs WHERE live = 1"):
            return False
        if self.redis and self.rows("SELECT id FROM outbox WHERE event = 'error' AND open = 1"):
            return False
        return True

    def hurry_along(self, quiet):
        """A message that went to somebody who died before the store knew of it is hidden.  When nothing else is left to
        be done, its time is hurried along."""
        told = self.account()["messages"]
        seen = (told["received"], told["deleted"], bool(self.rows("SELECT id FROM jobs WHERE live = 1")))
        if seen != quiet.get("seen") or seen[2]:
            quiet.update(seen=seen, since=time.monotonic())
        elif time.monotonic() - quiet["since"] > QUIET_S:
            self.sim.post("/_admin/clock", {"advance_s": VISIBILITY_S + 1})
            quiet["since"] = time.monotonic()

    def wait_settled(self):
        quiet = {}
        try:
            wait_until("every message deleted and every job ended", lambda: self.is_settled() or self.hurry_along(quiet),
                       SETTLED_WITHIN_S, pause=0.1)
        except AssertionError:
            pass        # what is missing, the verdict says better

    def note_known(self):
        """What the store knows by now is in its custody: however its worker ends, the queue has no reason to
        give the message to anybody else.  One that is merely under way to somebody who dies comes again."""
        self.known = {row[0] for row in self.rows("SELECT message_id FROM jobs")}

    def violations(self):
        """What is wrong in the end, a line each."""
        return [*self.missed(), *self.miscounted(), *self.received_again(), *self.misordered(), *self.left_over()]

    def missed(self):
        left = sum(fault["count"] for fault in self.sim.get("/_admin/fault")["faults"])
        if self.wrong_answers > 0 and left == self.wrong_answers:
            yield "none of the wrong answers was given"

    def received_again(self):
        for message in self.sim.get("/_account/messages?limit=5000")["messages"]:
            if len(message["receives"]) > 1 and message["id"] in self.known:
                job = self.rows("SELECT id FROM jobs WHERE message_id = ?", message["id"])
                yield f"the message of {job[0][0]} was received {len(message['receives'])} times"

    def miscounted(self):
        told, jobs = self.account(), {job for job, _, _ in JOBS}
        tasks = defaultdict(int)
        for task in self.sim.get("/_account/tasks?limit=5000")["tasks"]:
            tasks[task["environment"]["GANTRY_JOB"]] += 1
        yield from (f"lost: {job} was never launched" for job in sorted(jobs - set(tasks)))
        yield from (f"doubled: {job} was launched {n} times" for job, n in sorted(tasks.items()) if n > 1)
        yield from (f"unknown: {job} was launched" for job in sorted(set(tasks) - jobs))
        wanted = len(jobs) + self.malformed
        if told["messages"]["deleted"] != wanted:
            yield f"{told['messages']['deleted']} of {wanted} messages are deleted"

    def misordered(self):
        accepted = [row[0] for row in self.rows("SELECT id FROM jobs ORDER BY seq")]
        tasks = sorted(self.sim.get("/_account/tasks?limit=5000")["tasks"], key=lambda t: t["created_ms"])
        for project in sorted({project for _, project, _ in JOBS}):
            own = [t for t in tasks if t["environment"]["GANTRY_PROJECT"] == project]
            launched = [t["environment"]["GANTRY_JOB"] for t in own]
            sent = [job for job, its, _ in JOBS if its == project]
            fifo = project in ("f", "g")
            if launched != (sent if fifo else [job for job in accepted if job in launched]):
                yield f"order: {project} was launched as {launched}, {'sent' if fifo else 'accepted'} otherwise"
            for one, two in zip(own, own[1:]):
                if not one["stopped_ms"] or two["created_ms"] < one["stopped_ms"]:
                    yield f"overlap: two tasks of {project} at once"

    def left_over(self):
        for job, owner in self.rows("SELECT id, owner FROM jobs WHERE live = 1"):
            yield f"{job} was left unsettled, owned by {owner}"
        for job, state, reason in self.rows("SELECT id, state, reason FROM jobs WHERE state <> 'succeeded'"):
            yield f"{job} is {state} ({reason})"
        for key, holder in self.rows("SELECT key, holder FROM locks WHERE holder IS NOT NULL"):
            yield f"lock {key} is held by {holder}"
        faults = self.rows("SELECT count(*) FROM outbox WHERE event = 'error' AND payload ->> 'kind' = 'malformed'")[0][0]
        if faults != self.malformed:
            yield f"{faults} malformed messages are recorded, {self.malformed} were sent"
        if self.malformed and '"malformed"' not in self.redis.cli("LRANGE", "errors", "0", "-1"):
            yield "the malformed message was never published"

    def stop(self):
        """Stops all that was started; what went wrong about that."""
        wrong = []
        for program in reversed(self.programs):
            if program.process.poll() is None:
                program.signal(signal.SIGCONT)
            try:
                status = program.stop(timeout=30)
                if program is self.daemon and status != 0:
                    wrong.append(f"gantryd left with {status}")
            except subprocess.TimeoutExpired:
                wrong.append(f"{program.output.name} did not stop")
        return wrong


# -- moments ---------------------------------------------------------------------------------------
# Each brings its cell to the moment and gives the pid of the worker it is about.

DELETES = ("DeleteMessage", "DeleteMessageBatch")


def hold_answers(cell, *actions, count=1000):
    for action in actions:
        cell.sim.fault(action=action, kind="delay", ms=ANSWER_MS, count=count)


def at_admit(cell):
    """Messages have left the queue and have not arrived."""
    cell.send_all()
    hold_answers(cell, "ReceiveMessage", count=8)
    cell.start()
    wait_until("messages under way", lambda: cell.account()["messages"]["received"] >= 4, pause=0.01)
    return cell.workers()


def at_lock(cell):
    """Jobs wait for a lock that another holds."""
    cell.start()
    cell.send_all()
    job = cell.first_in("state = 'waiting'")
    return [cell.worker_of(job)]


def at_launch(cell):
    """A task was started and no answer has said so."""
    hold_answers(cell, "RunTask")
    cell.start()
    cell.send_all()
    wait_until("a task", lambda: cell.account()["tasks"]["created"], pause=0.01)
    return [cell.worker_of(cell.first_in("state = 'launching'"))]


def at_watch(cell):
    """Tasks run."""
    cell.start()
    cell.send_all()
    return [cell.worker_of(cell.first_in("state = 'running'"))]


def at_settle(cell):
    """A result is stored and its message is just being deleted."""
    hold_answers(cell, *DELETES)
    cell.start()
    cell.send_all()
    return [cell.worker_of(cell.first_in("open = 0 AND settled = 0"))]


def at_deliver(cell):
    """An error is recorded, and the Redis that shall hear of it does not answer."""
    cell.start()
    cell.send_all()
    cell.redis.signal(signal.SIGSTOP)
    cell.send_malformed()
    wait_until("a fault", lambda: cell.rows("SELECT id FROM outbox WHERE event = 'error' AND payload ->> 'kind' = 'malformed'"), pause=0.01)
    return cell.workers()[:1]


def at_drain(cell):
    """A reload was committed, and the old workers still hold jobs."""
    cell.start()
    cell.send_all()
    cell.first_in("state = 'running'")
    cell.daemon.signal(signal.SIGHUP)
    return wait_until("a worker drains", lambda: cell.workers("draining"), pause=0.01)


MOMENTS = {"admit": at_admit, "lock": at_lock, "launch": at_launch, "watch": at_watch, "settle": at_settle,
           "deliver": at_deliver, "drain": at_drain}
# What AWS is asked for at that moment.
ACTIONS = {"admit": ["ReceiveMessage"], "launch": ["RunTask"], "watch": ["DescribeTasks"], "settle": list(DELETES),
           "drain": ["ReceiveMessage", "DescribeTasks", "ChangeMessageVisibilityBatch"]}


# -- what happens ----------------------------------------------------------------------------------

def victims(cell, who, workers):
    if who == "worker":
        return workers
    if who == "master":
        return [cell.daemon.pid]
    return [cell.daemon.pid, *cell.workers()]


def kill(cell, who, workers):
    if who == "redis":
        cell.redis.signal(signal.SIGKILL)
        cell.redis.wait()
        time.sleep(OUTAGE_S)
        cell.redis = cell.start_redis()
        return
    for pid in victims(cell, who, workers):
        os.kill(pid, signal.SIGKILL)
    if who != "worker":
        cell.daemon.wait()
        cell.start()


def stop_and_continue(cell, who, workers):
    pids = {"awssim": [cell.sim.pid], "redis": [cell.redis.pid] if cell.redis else []}.get(who)
    pids = victims(cell, who, workers) if pids is None else pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STOP_S)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def fill_disk(cell, who, workers):
    del who, workers
    (cell.directory / "full").touch()
    wait_until("a write that failed", lambda: "disk is full" in cell.log(), 20, pause=0.05)
    time.sleep(OUTAGE_S)
    (cell.directory / "full").unlink()


def use_up_descriptors(cell, who, workers):
    """Nobody gets a new descriptor, what is open stays so; connections break, so that new ones are wanted."""
    del who, workers
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in [cell.daemon.pid, *cell.workers()]}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    cell.sim.fault(action="*", kind="drop_before", count=8)
    wait_until("a connection that was not made", lambda: re.search("Failed to connect|open files", cell.log()), 20,
               pause=0.05)
    time.sleep(OUTAGE_S)
    for pid, limit in limits.items():
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        except ProcessLookupError:
            pass        # it has been replaced


ANSWERS = {"lost_answer": "lost_answer", "http_500": "http_500", "throttle": "throttle",
           "drop_before": "drop_before", "drop_after": "truncate"}
