# SPDX-License-Identifier: Apache-2.0
"""Many jobs through a daemon to which everything happens: killed workers and masters, reloads,
upgrades, duplicates, throttles, lost answers, dropped connections, deployments that fail.

    /usr/bin/python3 tests/system/soak.py [--jobs 10000] [--projects 500] [--seed 1] ...
    /usr/bin/python3 tests/system/soak.py --store redis --daemons 2 ...

With --store redis or postgresql several daemons, each with its own state directory, share the store and the queues; whatever
happens hits one of them, or the store's server, which is killed and comes back, also later than every lease ends.

The seed decides what is sent, in which order, and what happens after which number of deleted
messages; only the moment inside a process is left to chance.  auditor.py judges.  BUILDDIR is the
build tree, as for the tests; exit status 0: no violation."""

import argparse
import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import auditor
from conftest import free_port
from harness import AwsSim, Gantry, RedisServer, main_job, wait_until
from receivers import Receiver
from stores import make_store

LEASE_S = 4
STANDARD, FIFO = "deploys", "ordered.fifo"
FAULTS = (
    ("RunTask", ("lost_answer", "drop_before", "throttle", "http_500", "hidden_throttle", "failures", "truncate",
                 "garbage")),
    ("ReceiveMessage", ("lost_answer", "drop_before", "throttle", "http_500", "truncate")),
    ("DeleteMessageBatch", ("lost_answer", "drop_before", "throttle", "http_500", "entry_error")),
    ("ChangeMessageVisibilityBatch", ("lost_answer", "drop_before", "throttle", "entry_error")),
    ("DescribeTasks", ("lost_answer", "drop_before", "throttle", "http_500", "garbage", "missing")),
)
# What happens, and its share of all that happens.
WHAT = (("kill_worker", 24), ("kill_workers", 3), ("kill_master", 4), ("kill_all", 2), ("stop_daemon", 2),
        ("freeze_worker", 3), ("reload", 10), ("upgrade", 3), ("scale", 3), ("fault", 46))
# And where daemons share a store that has a server.
WHAT_IS_SHARED = (("freeze_daemon", 3), ("crash_store", 4), ("lose_store", 2))
MUST = ("kill_master", "kill_all", "upgrade", "freeze_worker", "reload", "kill_workers")
MUST_SHARED = ("crash_store", "freeze_daemon", "kill_all", "lose_store", "kill_workers", "reload")

CONFIGURATION = """
  ordered:
    type: sqs
    url: {ordered_url}
    visibility_timeout: {visibility_timeout}
    wait_time: 1s
    max_in_flight: 300
    default_deployer: mystical
"""
SUPERVISOR = """
supervisor:
  lease: {lease}s
  restart_delay: 50ms
  probation: 1s
"""

TOLD = """
notify: [ {{ type: webhook, url: "{results}/results", allow_private: true }} ]
errors: [ {{ type: redis, url: "{errors}", list: errors, keep: 1000000 }} ]
"""

DEPLOYER = """
  {name}:
    type: ecs
    cluster: prod
    task_definition: {name}:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
    attempts: 2
    allow: {{ environment: ["SIM_*"] }}"""
# gantry looks through so many stopped tasks of a family at most, and ECS shows them for an hour.
JOBS_OF_A_FAMILY = 2500


class Plan:
    """What is sent and what happens, all from the seed."""

    def __init__(self, jobs, projects, seed, events, shared=False):
        self.dice = random.Random(seed)
        self.seed = seed
        self.what = WHAT + WHAT_IS_SHARED if shared else WHAT
        self.must = MUST_SHARED if shared else MUST
        self.deployers = [f"family{number}" for number in range(1 + jobs // JOBS_OF_A_FAMILY)]
        self.messages = self._messages(jobs, projects)
        self.events = self._events(jobs, events)

    def _project(self, number):
        """Its queues: a third of the projects each on the standard one, the FIFO one, and both."""
        return f"p{number:04}", ((STANDARD,), (FIFO,), (STANDARD, FIFO))[number % 3]

    def _job(self, number, projects):
        project, queues = self._project(number % projects)
        queue = self.dice.choice(queues)
        body = {"id": f"j{number:06}", "project": project, "deployer": self.dice.choice(self.deployers)}
        if self.dice.random() < 0.06:
            body["environment"] = self.dice.choice((
                {"SIM_EXIT_CODE": "3"}, {"SIM_EXIT_CODE": "137"}, {"SIM_NO_EXIT_CODE": "1"}, {"SIM_FAIL_TO_START": "1"}))
        elif self.dice.random() < 0.1:
            body["environment"] = {"SIM_RUN_MS": str(self.dice.randrange(200, 1500))}
        if queue == STANDARD and self.dice.random() < 0.02:
            body["delay"] = "1s"
        return queue, body

    def _messages(self, jobs, projects):
        """(queue, body) in the order of sending; some producers say a thing twice."""
        messages = [self._job(number, projects) for number in range(jobs)]
        self.dice.shuffle(messages)
        for place in sorted(self.dice.sample(range(jobs), jobs // 50), reverse=True):
            messages.insert(min(len(messages), place + self.dice.randrange(1, 60)), messages[place])
        return messages

    def _event(self):
        what = self.dice.choices([w for w, _ in self.what], [share for _, share in self.what])[0]
        if what != "fault":
            return what, {"which": self.dice.randrange(1 << 16)}
        action, kinds = self.dice.choice(FAULTS)
        return what, {"action": action, "kind": self.dice.choice(kinds), "count": self.dice.randrange(1, 6),
                      "skip": self.dice.randrange(4)}

    def _events(self, jobs, count):
        """(after so many deleted messages, what, with what); each kind that matters at least once."""
        events = [(what, {"which": self.dice.randrange(1 << 16)}) for what in self.must[:count]]
        events += [self._event() for _ in range(count - len(events))]
        self.dice.shuffle(events)
        places = sorted(self.dice.randrange(jobs // 50, jobs * 9 // 10) for _ in events)
        return [(place, what, given) for place, (what, given) in zip(places, events)]


class Producer(threading.Thread):
    """Sends the plan's messages in its order, never much further than the daemon has come."""

    def __init__(self, sim, plan, ahead):
        super().__init__(daemon=True)
        self.sim, self.plan, self.ahead = sim, plan, ahead
        self.sent, self.deleted, self.failure = [], 0, None

    def run(self):
        try:
            place = 0
            while place < len(self.plan.messages):
                if len(self.sent) - self.deleted >= self.ahead:
                    time.sleep(0.02)        # until the daemon, whatever happens to it, has come on
                    continue
                queue = self.plan.messages[place][0]
                batch = []
                while len(batch) < 10 and place < len(self.plan.messages) and self.plan.messages[place][0] == queue:
                    batch.append(self.plan.messages[place][1])
                    place += 1
                self._send(queue, batch)
        except Exception as failure:    # pylint: disable=broad-except  # told by the main thread
            self.failure = failure

    def _send(self, queue, bodies):
        fifo = queue == FIFO
        entries = [{"Id": str(i), "MessageBody": json.dumps(body),
                    **({"MessageGroupId": body["project"], "MessageDeduplicationId": f"{len(self.sent) + i}"}
                      if fifo else {})}
                   for i, body in enumerate(bodies)]
        answer = self.sim.call("SendMessageBatch", {"QueueUrl": self.sim.queue_url(queue), "Entries": entries})
        ids = {entry["Id"]: entry["MessageId"] for entry in answer["Successful"]}
        self.sent += [auditor.Sent(ids[str(i)], body["id"], body["project"], body["project"] if fifo else "",
                                   "delay" in body) for i, body in enumerate(bodies)]


class Host:
    """A daemon with a directory of its own: those that ran there, and what they ran."""

    def __init__(self, directory, configuration):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.configuration = configuration(self.directory)
        self.daemons, self.pids = [], set()
        self.thaw = None                # a timer, while all of it is frozen
        self.start()

    def start(self):
        self.daemons.append(Gantry(self.directory, self.configuration))
        self.daemon.wait_ready(120)

    @property
    def daemon(self):
        return self.daemons[-1]

    @property
    def frozen(self):
        return self.thaw is not None and self.thaw.is_alive()

    def living(self):
        """Pids of the workers that take jobs, in order of their start."""
        pids = [worker["pid"] for worker in self.daemon.workers()]
        self.pids.update(pids)
        return pids


class Soak:
    """The world and what happens to it."""

    def __init__(self, directory, plan, workers, say, store="sqlite", daemons=1):
        self.directory, self.plan, self.workers, self.say = Path(directory), plan, workers, say
        self.counts = {}
        self.hosts, self.frozen = [], []
        self.sim = self.store = self.ears = None
        self.results = Receiver()
        try:
            self.sim = AwsSim(directory, "--no-auth", "--seed", str(plan.seed), "--queue",
                              f"{STANDARD}:VisibilityTimeout=10", "--queue", f"{FIFO}:FifoQueue=true,VisibilityTimeout=10",
                              "--task-start-ms", "10", "--task-run-ms", "50", "--consistency-ms", "100")
            self.sim.post("/_admin/duplicate", {"probability": 0.02, "after_delete": 0.02})
            self.ears = RedisServer(directory, free_port())
            self.store = make_store(store, directory, free_port())
            for number in range(daemons):
                self.hosts.append(Host(self.directory / f"host{number}", self.configuration))
        except BaseException:
            self.close()
            raise

    # -- the daemons

    def configuration(self, directory):
        text = main_job(directory, self.sim.url, self.sim.queue_url(STANDARD), workers=self.workers, wait_time="1s",
                        drain_timeout="1s", visibility_timeout="10s", max_in_flight=300,
                        queue_extra=CONFIGURATION.format(ordered_url=self.sim.queue_url(FIFO), visibility_timeout="10s"),
                        deployer_extra="".join(DEPLOYER.format(name=name) for name in self.plan.deployers),
                        extra=TOLD.format(results=self.results.url, errors=self.ears.url))
        text = text.replace(f"store: sqlite://{directory}/gantry.db", f"store: {self.store.url}", 1)
        return text.replace("\nsupervisor:\n", SUPERVISOR.format(lease=LEASE_S), 1)

    def host(self, which):
        """One that can be asked; there is one, as no two are frozen at once."""
        hosts = [host for host in self.hosts if not host.frozen]
        return hosts[(which >> 8) % len(hosts)]

    def ask(self, host, *words):
        """What is refused or put off, as the daemon is busy with another request, is only told."""
        done = host.daemon.ctl(*words, check=False)
        if done.returncode != 0:
            self.say(f"{' '.join(words)}: {done.returncode} {done.stderr.strip()}")

    def kill(self, pid, number=signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass        # it has left by itself meanwhile

    # -- what happens; each returns when it has happened, not when it is over

    def kill_worker(self, which):
        living = self.host(which).living()
        if living:
            self.kill(living[which % len(living)])

    def kill_workers(self, which):
        for pid in self.host(which).living():
            self.kill(pid)

    def kill_master(self, which):
        host = self.host(which)
        host.living()
        host.daemon.stop(signal.SIGKILL)
        host.start()

    def kill_all(self, which):
        host = self.host(which)
        pids = host.living()
        host.daemon.stop(signal.SIGKILL)
        for pid in pids:
            self.kill(pid)
        host.start()

    def stop_daemon(self, which):
        host = self.host(which)
        host.living()
        host.daemon.stop((signal.SIGTERM, signal.SIGQUIT)[which % 2], timeout=60)
        host.start()

    def freeze(self, pids):
        """For longer than a lease: they come back when their jobs belong to others."""
        for pid in pids:
            self.kill(pid, signal.SIGSTOP)
        thaw = threading.Timer(LEASE_S * 1.5 + 1, lambda: [self.kill(pid, signal.SIGCONT) for pid in pids])
        thaw.daemon = True
        thaw.start()
        self.frozen.append(thaw)
        return thaw

    def freeze_worker(self, which):
        living = self.host(which).living()
        if living:
            self.freeze([living[which % len(living)]])

    def freeze_daemon(self, which):
        """The master first, or it would see its workers stand still."""
        if any(host.frozen for host in self.hosts) or len(self.hosts) < 2:
            return
        host = self.host(which)
        pids = host.living()
        host.thaw = self.freeze([host.daemon.pid, *pids])

    def reload(self, which):
        self.ask(self.host(which), "reload", "--no-wait")

    def upgrade(self, which):
        self.ask(self.host(which), "upgrade", "--no-wait")

    def scale(self, which):
        self.ask(self.host(which), "workers", ("+1", "-1")[which % 2])

    def fault(self, **rule):
        self.sim.fault(**rule)

    def crash_store(self, which):       # pylint: disable=unused-argument
        self.store.crash()
        self.store.start()

    def lose_store(self, which):
        """Longer than every lease would last; and somebody dies meanwhile."""
        self.store.crash()
        since = time.monotonic()
        self.kill_worker(which)
        wait_until("the store has been away", lambda: time.monotonic() - since > LEASE_S * 1.5, 60)
        self.store.start()

    # -- the run

    def deleted(self):
        return self.sim.get("/_account")["messages"]["deleted"]

    def drained(self, producer):
        """Nothing is left in the queues, the store waits for nobody, and everybody was told."""
        if producer.is_alive() or any(sum((q["ready"], q["in_flight"], q["delayed"]))
                                      for q in auditor.read_queues(self.sim.url).values()):
            return False
        left = auditor.read_store(self.store.url)
        return not left.locks and not left.untold and not any(job["live"] for job in left.jobs.values())

    def run(self, ahead, patience_s):
        """Until all is done or nothing has come on for so long; what was sent."""
        producer = Producer(self.sim, self.plan, ahead)
        producer.start()
        events, moved_at, seen = list(self.plan.events), time.monotonic(), -1
        while True:
            producer.deleted = deleted = self.deleted()
            if producer.failure is not None:
                raise producer.failure
            if deleted != seen:
                seen, moved_at = deleted, time.monotonic()
            if events and deleted >= events[0][0]:
                _, what, given = events.pop(0)
                self.say(f"{deleted} deleted: {what} {given}")
                self.counts[what] = self.counts.get(what, 0) + 1
                getattr(self, what)(**given)
                continue
            if not events and not producer.is_alive() and deleted >= len(producer.sent):
                break
            if time.monotonic() - moved_at > patience_s:
                self.say(f"nothing has come on for {patience_s} s: {deleted} of {len(producer.sent)} deleted")
                break
            time.sleep(0.05)            # between two looks at the account
        self.finish(producer, patience_s)
        return producer.sent

    def finish(self, producer, patience_s):
        """A quiet end: no faults any more, and nobody left who could still do something."""
        self.sim.post("/_admin/fault", method="DELETE")
        self.sim.post("/_admin/duplicate", {"probability": 0, "after_delete": 0})
        for thaw in self.frozen:
            thaw.join()
        try:
            wait_until("nothing is left", lambda: self.drained(producer), patience_s, pause=0.2)
        except AssertionError as failure:
            self.say(str(failure))      # the audit says what is left
        for host in self.hosts:
            host.living()
            host.daemon.stop(timeout=60)
        wait_until("workers of killed masters have left", lambda: not any(map(runs, self.pids())), 60)

    def pids(self):
        return [pid for host in self.hosts for pid in host.pids]

    def told(self):
        """(job, event, id of the delivery) of each result, and the jobs of the errors."""
        results = [(post.json["data"]["id"], post.json["data"]["event"], post.id) for post in self.results.posts]
        errors = [json.loads(line).get("job") for line in self.ears.cli("LRANGE", "errors", "0", "-1").splitlines() if line]
        return results, errors

    def books(self, sent):
        tasks, messages = auditor.read_account(self.sim.url)
        left = auditor.read_store(self.store.url)
        results, errors = self.told()
        return auditor.Books(sent, tasks, messages, left.jobs, left.locks, auditor.read_queues(self.sim.url), results,
                             errors)

    def trouble(self):
        """What no run may show in its logs, whatever is done to it."""
        texts = "".join(daemon.text() for host in self.hosts for daemon in host.daemons)
        bad = r"AddressSanitizer|LeakSanitizer|runtime error:|killed by signal (?!9\b)|panic"
        return re.findall(rf"[^\n]*(?:{bad})[^\n]*", texts)

    def close(self):
        for thaw in self.frozen:
            thaw.cancel()
        for pid in self.pids():
            if runs(pid):
                self.kill(pid, signal.SIGCONT)
        for host in self.hosts:
            for daemon in host.daemons:
                if daemon.process.poll() is None:
                    daemon.signal(signal.SIGCONT)
        for program in (*(daemon for host in self.hosts for daemon in host.daemons), self.sim, self.ears):
            if program is not None:
                program.stop(timeout=60)
        if self.store is not None:
            self.store.stop()
        self.results.stop()


def runs(pid):
    """Whether one of our workers has this pid; one that waits to be reaped does not run."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "(gantry-worker)" in state and state.rsplit(")", 1)[1].split()[0] != "Z"


def soak(directory, jobs, projects, seed, workers=4, events=40, ahead=400, patience_s=120, say=lambda text: None,
         store="sqlite", daemons=1):
    """One run; (audit, figures, trouble)."""
    plan = Plan(jobs, projects, seed, events, shared=store != "sqlite")
    began = time.monotonic()
    world = Soak(directory, plan, workers, say, store, daemons)
    try:
        audit = auditor.Audit(world.books(world.run(ahead, patience_s)))
        account = world.sim.get("/_account")
        figures = {"seed": seed, "store": store, "daemons": daemons, "seconds": round(time.monotonic() - began),
                   "events": dict(sorted(world.counts.items())), "received again": account["messages"]["received_again"],
                   "asked again": account["tasks"]["asked_again"], "exit codes": account["tasks"]["exit_codes"]}
        return audit, figures, world.trouble()
    finally:
        world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=1500)
    parser.add_argument("--projects", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4, help="of each daemon")
    parser.add_argument("--store", choices=("sqlite", "redis", "postgresql"), default="sqlite")
    parser.add_argument("--daemons", type=int, default=1)
    parser.add_argument("--events", type=int, help="how much happens; default: one a 30 jobs")
    parser.add_argument("--ahead", type=int, default=400, help="how many messages may be sent and not deleted")
    parser.add_argument("--keep", help="run in this directory and leave it")
    options = parser.parse_args()

    def say(text):
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="gantry-soak-") as scratch:
        directory = options.keep or scratch
        Path(directory).mkdir(parents=True, exist_ok=True)
        audit, figures, trouble = soak(directory, options.jobs, options.projects, options.seed, options.workers,
                                       options.events or options.jobs // 30, options.ahead, say=say, store=options.store,
                                       daemons=options.daemons)
    print(figures)
    print(audit.report())
    print("\n".join(trouble) if trouble else "logs: no trouble")
    return 0 if audit.clean and not trouble else 1


if __name__ == "__main__":
    sys.exit(main())
