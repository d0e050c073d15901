# SPDX-License-Identifier: Apache-2.0
"""Says what went wrong, from three books that gantry does not keep together: what the producer sent,
awssim's account of every message and task, and the store as it was left; and, where somebody was to be told, from what
those have heard.

It imports nothing of the harness and asks gantry nothing, so that it cannot share a mistake with what
it judges.  Each kind of violation is a list of sentences; all of them empty is the proof."""

import json
import sqlite3
import subprocess
import urllib.parse
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field

KINDS = {
    "lost": "jobs that were sent and never launched, or never ended, or of which no record is left",
    "doubled": "attempts with more than one task, and tasks of a job that had succeeded before",
    "overlaps": "tasks of one project at the same time",
    "disorder": "jobs of one project launched in another order than they were accepted or sent in",
    "fences": "launches whose fence is not above that of the launch before, in the same project",
    "results": "records that say something else than the task's own end",
    "early": "jobs whose every message was deleted before their last task had ended",
    "untold": "ends and failures that nobody was told of, or told as another than they were, or as two",
    "locks_left": "keys that are still held",
    "orphans_left": "records that are unfinished or unsettled, and tasks that still run",
    "messages_left": "messages that were not deleted, or left the queue in another way",
    "strangers": "tasks and records of jobs that nobody sent",
}


@dataclass(frozen=True)
class Sent:
    """One message as the producer knows it; in the order of sending."""
    message: str            # the id that SQS gave it
    job: str
    project: str
    group: str = ""         # FIFO message group; "": a standard queue
    delayed: bool = False   # it asked for a delay, so it stands outside the order


@dataclass
class Books:
    """All that is judged; see read_account() and read_store()."""
    sent: list
    tasks: list             # as awssim tells them, in the order they were created
    messages: list
    jobs: dict = field(default_factory=dict)        # records of the store, by id
    locks: list = field(default_factory=list)       # (key, holder) of keys that are held
    queues: dict = field(default_factory=dict)      # what is left in each queue, copies included
    told: list = None       # (job, event, id of the delivery), as they were heard; None: nobody was to be told
    errors: list = None     # jobs of the errors that were heard; likewise


@dataclass
class Left:
    """A store as it is found."""
    jobs: dict              # records by id
    locks: list             # (key, holder) of keys that are held
    untold: int             # deliveries that were not delivered, the dead included


def read_pages(url, kind):
    entries, after = [], 0
    while after is not None:
        with urllib.request.urlopen(f"{url}/_account/{kind}?after={after}&limit=2000", timeout=60) as reply:
            page = json.load(reply)
        entries += page[kind]
        after = page["next"]
    return entries


def read_account(url):
    return read_pages(url, "tasks"), read_pages(url, "messages")


def read_queues(url):
    with urllib.request.urlopen(f"{url}/_stats", timeout=60) as reply:
        return json.load(reply)["queues"]


FIELDS = ("seq", "id", "project", "state", "reason", "exit_code", "live", "owner")
FINAL = ("succeeded", "failed", "cancelled", "superseded")


def read_sqlite(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute(f"SELECT {', '.join(FIELDS)} FROM jobs").fetchall()
        locks = [tuple(row) for row in db.execute("SELECT key, holder FROM locks WHERE holder IS NOT NULL")]
        untold, = db.execute("SELECT count(*) FROM outbox WHERE next_try_ms > 0 OR dead").fetchone()
    return Left({row["id"]: dict(row) for row in rows}, locks, untold)


REDIS_SCRIPT = """
local jobs, locks = {}, {}
for i, id in ipairs(redis.call('ZRANGE', '{gantry}:jobs', 0, -1)) do
    jobs[i] = redis.call('HMGET', '{gantry}:job:' .. id, 'seq', 'id', 'project', 'state', 'reason', 'exit_code', 'settled',
        'owner')
end
for i, key in ipairs(redis.call('ZRANGE', '{gantry}:held', 0, -1)) do
    locks[i] = { key, redis.call('HGET', '{gantry}:lock:' .. key, 'holder') }
end
return cjson.encode({ jobs, locks, redis.call('ZCARD', '{gantry}:open') })
"""


def read_redis(url):
    reply = subprocess.run(["redis-cli", "-u", url, "EVAL", REDIS_SCRIPT, "0"], capture_output=True, text=True, timeout=120,
                           check=True).stdout
    rows, locks, untold = json.loads(reply)
    jobs = {}
    for row in rows:
        job = {name: value or None for name, value in zip(FIELDS, row)}
        job.update(seq=int(job["seq"]), exit_code=int(job["exit_code"]),
                   live=job["state"] not in FINAL or row[FIELDS.index("live")] != "1")
        jobs[job["id"]] = job
    return Left(jobs, [tuple(lock) for lock in locks], untold)


POSTGRESQL_QUERY = f"""
SELECT json_build_array(
    (SELECT coalesce(json_agg(j), '[]') FROM (SELECT {', '.join(FIELDS)} FROM gantry.jobs) j),
    (SELECT coalesce(json_agg(json_build_array(key, holder)), '[]') FROM gantry.locks WHERE holder IS NOT NULL),
    (SELECT count(*) FROM gantry.outbox WHERE open))
"""


def read_postgresql(url):
    reply = subprocess.run(["psql", "-XAtq", "-c", POSTGRESQL_QUERY, url], capture_output=True, text=True, timeout=120,
                           check=True).stdout
    rows, locks, untold = json.loads(reply)
    return Left({row["id"]: row for row in rows}, [tuple(lock) for lock in locks], untold)


def read_store(url):
    """What is in the store of this URL, read without a word to its owners."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme == "sqlite":
        return read_sqlite(url.removeprefix("sqlite://"))
    return read_redis(url) if scheme == "redis" else read_postgresql(url)


def grouped(entries, key):
    groups = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return dict(groups)


class Audit:
    """The judgement: .violations by kind, .figures for the report."""

    def __init__(self, books):
        self.books = books
        self.violations = {kind: [] for kind in KINDS}
        self.sent_of = grouped(books.sent, lambda sent: sent.job)
        self.tasks_of = grouped(books.tasks, lambda task: task["environment"].get("GANTRY_JOB", ""))
        self.message_of = {message["id"]: message for message in books.messages}
        for check in (self._losses, self._doubles, self._projects, self._groups, self._results, self._settling,
                      self._telling, self._leftovers, self._strangers):
            check()
        self.figures = {"jobs": len(self.sent_of), "messages": len(books.sent), "tasks": len(books.tasks),
                        **{kind: len(found) for kind, found in self.violations.items()}}

    @property
    def clean(self):
        return not any(self.violations.values())

    def told(self):
        """The figures, on a line."""
        return ", ".join(f"{name} {figure}" for name, figure in self.figures.items())

    def report(self, most=5):
        """For people: the figures, and the first few of each kind of violation."""
        lines = [self.told()]
        for kind, found in self.violations.items():
            lines += [f"{kind}: {sentence}" for sentence in found[:most]]
            lines += [f"{kind}: and {len(found) - most} more"] if len(found) > most else []
        return "\n".join(lines)

    def _say(self, kind, sentence):
        self.violations[kind].append(sentence)

    def _losses(self):
        for job in self.sent_of:
            record = self.books.jobs.get(job)
            if record is None:
                self._say("lost", f"{job} has no record")
            elif record["state"] not in ("succeeded", "failed"):
                self._say("lost", f"{job} is {record['state']}")
            if job not in self.tasks_of:
                self._say("lost", f"{job} was never launched")

    def _doubles(self):
        for job, tasks in self.tasks_of.items():
            attempts = defaultdict(int)
            for task in tasks:
                attempts[task["environment"].get("GANTRY_ATTEMPT")] += 1
            for attempt, count in attempts.items():
                if count > 1:
                    self._say("doubled", f"{job}, attempt {attempt}: {count} tasks")
            for earlier in tasks[:-1]:
                if earlier["exit_code"] == 0:
                    self._say("doubled", f"{job} was launched again after {earlier['arn']} had succeeded")

    def _projects(self):
        projects = grouped(self.books.tasks, lambda task: task["environment"].get("GANTRY_PROJECT", ""))
        for project, tasks in projects.items():
            self._one_at_a_time(project, tasks)
            self._fences_grow(project, tasks)
            self._as_accepted(project, tasks)

    def _one_at_a_time(self, project, tasks):
        """The account lists tasks as they were created, so each has to begin after all before it ended."""
        for task, following in zip(tasks, tasks[1:]):
            if task["stopped_ms"] is None or following["created_ms"] < task["stopped_ms"]:
                self._say("overlaps", f"{project}: {following['environment'].get('GANTRY_JOB')} began at "
                          f"{following['created_ms']}, {task['environment'].get('GANTRY_JOB')} ended at "
                          f"{task['stopped_ms']}")

    def _fences_grow(self, project, tasks):
        """A grant is for all attempts of its job, so an equal fence is a next attempt or a mistake."""
        last_fence, last_job = 0, None
        for task in tasks:
            fence, job = int(task["environment"].get("GANTRY_FENCE", 0)), task["environment"].get("GANTRY_JOB")
            if fence < last_fence or (fence == last_fence and job != last_job):
                self._say("fences", f"{project}: {job} has fence {fence} after {last_job} with {last_fence}")
            last_fence, last_job = fence, job

    def _as_accepted(self, project, tasks):
        last_seq, last_job = 0, None
        for job in dict.fromkeys(task["environment"].get("GANTRY_JOB") for task in tasks):
            record = self.books.jobs.get(job)
            if record is None or any(sent.delayed for sent in self.sent_of.get(job, ())):
                continue
            if record["seq"] < last_seq:
                self._say("disorder", f"{project}: {job}, accepted as {record['seq']}, was launched after {last_job}, "
                          f"accepted as {last_seq}")
            last_seq, last_job = record["seq"], job

    def _groups(self):
        """A FIFO group keeps the order it was sent in, whatever the store says it accepted when."""
        place, groups = {}, {}
        for job, sent in self.sent_of.items():
            if sent[0].group:
                place[job], groups[job] = len(place), sent[0].group
        last = {}
        for job in dict.fromkeys(task["environment"].get("GANTRY_JOB") for task in self.books.tasks):
            if job not in place:
                continue
            before = last.get(groups[job])
            if before is not None and place[job] < place[before]:
                self._say("disorder", f"group {groups[job]}: {job} was launched after {before}, which was sent later")
            last[groups[job]] = job

    def _results(self):
        for job, tasks in self.tasks_of.items():
            record, last = self.books.jobs.get(job), tasks[-1]
            if record is None or last["stopped_ms"] is None:
                continue
            succeeded = last["exit_code"] == 0
            if succeeded != (record["state"] == "succeeded"):
                self._say("results", f"{job} is {record['state']} ({record['reason']}), its task ended with "
                          f"{last['exit_code']}")
            elif last["exit_code"] is not None and record["exit_code"] != last["exit_code"]:
                self._say("results", f"{job} has exit code {record['exit_code']}, its task {last['exit_code']}")

    def _settling(self):
        for job, sent in self.sent_of.items():
            ends = [task["stopped_ms"] for task in self.tasks_of.get(job, ()) if task["stopped_ms"] is not None]
            deletes = [at for s in sent for at in self.message_of.get(s.message, {}).get("deletes", ())]
            if ends and deletes and max(deletes) < max(ends):
                self._say("early", f"{job}: deleted at {max(deletes)}, ended at {max(ends)}")

    def _telling(self):
        """Each end is told, as it is in the record; a delivery may come twice, but there are no two of one end."""
        if self.books.told is None:
            return
        told, errors = defaultdict(set), set(self.books.errors)
        for job, event, delivery in self.books.told:
            told[job].add((event, delivery))
        for job, record in self.books.jobs.items():
            if record["state"] not in FINAL:
                continue
            end = "uncertain" if record["reason"] == "uncertain" else record["state"]
            if [event for event, _ in told[job]] != [end]:
                self._say("untold", f"{job}, which is {end}, was told as {sorted(told[job])}")
            if record["state"] == "failed" and job not in errors:
                self._say("untold", f"no error was told of {job}, which failed")

    def _leftovers(self):
        for key, holder in self.books.locks:
            self._say("locks_left", f"{key} is held by {holder}")
        for job, record in self.books.jobs.items():
            if record["live"]:
                self._say("orphans_left", f"{job} is {record['state']}, owned by {record['owner']}, and not settled")
        for task in self.books.tasks:
            if task["stopped_ms"] is None:
                self._say("orphans_left", f"{task['arn']} of {task['environment'].get('GANTRY_JOB')} still runs")
        for message in self.books.messages:
            if not message["deletes"] or message["dead_lettered"] or message["purged"]:
                self._say("messages_left", f"{message['id']}: {len(message['receives'])} receives, "
                          f"{len(message['deletes'])} deletes, {message['dead_lettered']} times a dead letter")
        for queue, left in self.books.queues.items():
            if left["ready"] + left["in_flight"] + left["delayed"] > 0:
                self._say("messages_left", f"{queue}: {left}")
        for sent in self.books.sent:
            if sent.message not in self.message_of:
                self._say("messages_left", f"{sent.message} is not in the account")

    def _strangers(self):
        for job in self.tasks_of:
            if job not in self.sent_of:
                self._say("strangers", f"a task of {job!r}")
        for job in self.books.jobs:
            if job not in self.sent_of:
                self._say("strangers", f"a record of {job!r}")
