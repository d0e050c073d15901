# SPDX-License-Identifier: Apache-2.0
"""From a job's acceptance to its RunTask: how long an empty or a busy daemon takes to pass a job on.

Of SQS both ends are the simulator's own stamps: the message was put into the queue; RunTask has made a task.  Of Redis and
HTTP the beginning is when the sender has its answer.  The bare round trip is the same way through bench/floor: an open long
poll, RunTask at once, nothing stored.  Idle is 20 jobs a second, each over before the next one comes; at 50/s and 500/s all
jobs are samples, of projects of their own.  A warm-up goes before each pace.  gantryd is told how fast it may launch
(aws.run_task_rate), as a fresh one begins with the 20/s that every account has."""

import tempfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from auditor import read_pages
from harness import CREDENTIALS, AwsSim, Program, RedisServer, clean_environment, wait_until
from lib.daemon import free_port, start_daemon
from lib.disk import sync_times_ms
from lib.rows import Row, at_most
from lib.sending import HttpSender, RedisSender, SqsSender, send_at_pace

WORKERS = 4
TOKEN = "the-benchmark-sends-with-this"
GOAL_MS = 5
SHARED_MEMORY = Path("/dev/shm")


@dataclass
class Pace:
    name: str
    per_s: int
    samples: int
    quick_samples: int
    warm_up_s: int


IDLE, STEADY, BUSY = Pace("idle", 20, 1000, 100, 1), Pace("50/s", 50, 1000, 200, 3), Pace("500/s", 500, 5000, 1000, 3)


CONFIGURATION = """
supervisor: {{ workers: {workers}, pid_file: {dir}/gantryd.pid, control_socket: {dir}/control.sock }}
store: sqlite://{store}/gantry.db
log: {{ to: {dir}/gantryd.log }}
aws: {{ region: us-east-1, endpoint_url: "{sim}", run_task_rate: 2000 }}
api:
  listen: [ "127.0.0.1:{port}" ]
  queue: local
  tokens: [ {{ name: bench, token: {token}, may: [submit], rate: 0 }} ]
queues:
  deploys: {{ type: sqs, url: "{queue}", default_deployer: mystical }}
  builds: {{ type: redis, url: "{redis}", list: builds, default_deployer: mystical }}
  local: {{ type: store, default_deployer: mystical }}
deployers:
  mystical:
    type: ecs
    cluster: prod
    task_definition: deployer:1
    container: app
    launch_type: FARGATE
    network: {{ subnets: [subnet-1], security_groups: [sg-1] }}
    environment: {{ PROJECT: "{{{{ project }}}}" }}
"""


def percentile(sorted_values, part):
    return sorted_values[ceil(part * len(sorted_values)) - 1]


def launches(sim, minimum):
    """{job: when its task was made}, once there are as many.  A job's name is given without its queue's."""
    wait_until(f"{minimum} launches", lambda: sim.get("/_account")["tasks"]["created"] >= minimum, 120, pause=0.2)
    return {task["environment"]["GANTRY_JOB"].rsplit(":", 1)[-1]: task["entered_us"]
            for task in read_pages(sim.url, "tasks")}


def samples_of(bench, pace):
    return pace.quick_samples if bench.quick else pace.samples


class Source:
    """A way for jobs to come in, and where the clock begins for them."""

    def __init__(self, bench, name, sim, sender, stamped_by_simulator):
        self.bench, self.name, self.sim, self.sender = bench, name, sim, sender
        self.stamped_by_simulator = stamped_by_simulator
        self.number = 0

    def message(self, _):
        self.number += 1
        name = f"{self.name.replace(' ', '-')}-{self.number}"
        return {"id": name, "project": name}

    def message_of_simulator(self, i):
        """Without an id of its own it is named after its message."""
        return {"project": self.message(i)["project"]}

    def latencies_ms(self, pace):
        make = self.message_of_simulator if self.stamped_by_simulator else self.message
        before = self.sim.get("/_account")["tasks"]["created"]
        warm_up, samples = pace.per_s * pace.warm_up_s, samples_of(self.bench, pace)
        send_at_pace(self.sender, make, warm_up, pace.per_s)
        times = send_at_pace(self.sender, make, samples, pace.per_s)
        launched = launches(self.sim, before + warm_up + samples)
        begun = {job: accepted_us for job, (_, accepted_us) in times.items()}
        if self.stamped_by_simulator:
            begun = {m["id"]: m["entered_us"] for m in read_pages(self.sim.url, "messages") if m["id"] in times}
        return sorted((launched[job] - begun[job]) / 1000 for job in times)


def bare_source(bench, paces):
    directory = bench.directory("latency-bare")
    sim = bench.keep(AwsSim(directory, "--queue", "deploys", "--no-auth"))
    jobs = sum(pace.per_s * pace.warm_up_s + samples_of(bench, pace) for pace in paces)
    bench.keep(Program([bench.build / "bench/floor", "--endpoint", sim.url, "--queue-url", sim.queue_url("deploys"),
                        "--count", jobs, "--receivers", 1, "--in-flight", 64, "--wait", 20], directory, "floor",
                       env=clean_environment(**CREDENTIALS)))
    return Source(bench, "bare", sim, SqsSender(sim.port, sim.queue_url("deploys")), True)


def gantry_sources(bench, store=None):
    """SQS, Redis and HTTP of one daemon, whose store is in the directory."""
    directory = bench.directory("latency")
    sim = bench.keep(AwsSim(directory, "--queue", "deploys", "--no-auth"))
    redis = bench.keep(RedisServer(directory, free_port()))
    port = free_port()
    text = CONFIGURATION.format(dir=directory, store=store or directory, sim=sim.url, queue=sim.queue_url("deploys"),
                                redis=redis.url, port=port, token=TOKEN, workers=WORKERS)
    start_daemon(bench, directory, text, WORKERS)
    return [Source(bench, "SQS", sim, SqsSender(sim.port, sim.queue_url("deploys")), True),
            Source(bench, "Redis list", sim, RedisSender(redis.port, "builds"), False),
            Source(bench, "HTTP", sim, HttpSender(port, TOKEN), False)]


def parts_of(samples):
    """p99.9 of less than a thousand is the worst of them by another name."""
    return (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)) if len(samples) >= 1000 else (("p50", 0.5), ("p99", 0.99))


def rows_of(source, name, paces, bare, goal=False):
    """bare has what is to be taken off for each pace, or gets it."""
    for pace in paces:
        samples = source.latencies_ms(pace)
        found = {part: percentile(samples, share) for part, share in parts_of(samples)}
        for part, value in found.items():
            yield Row("latency", f"{name}, {pace.name}, {part}", value, "ms",
                      note=f"{len(samples):,} samples" if part == "p50" else "")
        over = found["p99"] - bare.setdefault(pace.name, found)["p99"]
        if goal:
            yield at_most("latency", f"{name}, {pace.name}, p99 over the bare round trip", over, "ms", GOAL_MS)


def disk_rows(bench, when):
    """A durable commit waits for the disk, and a job for two of them: so much is not gantry's."""
    syncs = sorted(sync_times_ms(bench.directory("sync"), 50 if bench.quick else 300))
    for part, share in (("p50", 0.5), ("p99", 0.99)):
        yield Row("latency", f"the disk {when}, 4 KiB written and synced, {part}", percentile(syncs, share), "ms")


def measure(bench):
    paces, few = ((IDLE, BUSY), (IDLE,)) if bench.quick else 2 * ((IDLE, STEADY, BUSY),)
    bare = {}
    yield from disk_rows(bench, "before")
    yield from rows_of(bare_source(bench, paces), "bare", paces, bare)
    bench.stop_kept()
    for source in gantry_sources(bench):
        sqs = source.name == "SQS"
        yield from rows_of(source, source.name, paces if sqs else few, bare, goal=sqs)
    bench.stop_kept()
    yield from disk_rows(bench, "after")
    if SHARED_MEMORY.is_dir() and not bench.quick:
        with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=SHARED_MEMORY) as store:
            source = gantry_sources(bench, store)[0]
            yield from rows_of(source, "SQS, store in memory", (IDLE, BUSY), bare)
            bench.stop_kept()
