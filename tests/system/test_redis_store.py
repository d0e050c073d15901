# SPDX-License-Identifier: Apache-2.0
"""Two gantryds, each with its own state, on one store in Redis: nothing is lost, launched twice or interleaved over
both, also when one is stopped for longer than its lease, and when Redis is killed or away."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness
from conftest import free_port
from harness import main_job, send_jobs, wait_until
from stores import DurableRedis

ENDED = ("succeeded", "failed", "cancelled", "superseded")


class Pair:
    """awssim, Redis, and two gantryds that read one queue."""

    def __init__(self, tmp_path, awssim, started, lease, workers=1):
        self.tmp_path, self.started, self.port = tmp_path, started, free_port()
        self.sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "200")
        self.start_redis()
        self.daemons = []
        for name in ("one", "two"):
            directory = tmp_path / name
            directory.mkdir()
            text = main_job(directory, self.sim.url, self.sim.queue_url("deploys"), workers=workers,
                            max_in_flight=8, wait_time="1s").replace(
                f"store: sqlite://{directory}/gantry.db", f"store: {self.redis.url}")
            text = text.replace("supervisor:\n", f"supervisor:\n  lease: {lease}\n")
            daemon = harness.Gantry(directory, text)
            started.append(daemon)
            self.daemons.append(daemon)
        for daemon in self.daemons:
            daemon.wait_ready(60)

    def start_redis(self):
        self.redis = DurableRedis(self.tmp_path, self.port)
        self.started.append(self.redis)

    def kill_redis(self):
        self.redis.signal(signal.SIGKILL)
        self.redis.wait()

    def send(self, first, count, projects=5):
        send_jobs(self.daemons[0], [{"id": f"job{i}", "project": f"p{i % projects}"} for i in range(first, first + count)])

    def jobs(self):
        return {j["id"]: j for j in json.loads(self.daemons[1].ctl("--json", "jobs").stdout)}

    def tasks(self):
        return self.sim.get("/_account/tasks?after=0&limit=1000")["tasks"]

    def wait_launched(self, count):
        wait_until(f"{count} launches", lambda: len(self.tasks()) >= count, 60, pause=0.1)

    def wait_ended(self, count):
        wait_until(f"{count} results", lambda: sum(j["state"] in ENDED for j in self.jobs().values()) == count, 120, pause=0.5)

    def check(self, count):
        """Each job has succeeded, was launched once, beside none of its project; its message is gone."""
        assert {j["state"] for j in self.jobs().values()} == {"succeeded"}
        account = wait_until("every message is deleted", lambda: (
            a := self.sim.get("/_account?env=GANTRY_JOB"))["messages"]["deleted"] == count and a, 60)
        assert account["environment"]["doubled"] == []
        assert account["tasks"]["created"] == count
        for project in {t["environment"]["PROJECT"] for t in self.tasks()}:
            turns = sorted((t["created_ms"], t["stopped_ms"]) for t in self.tasks() if t["environment"]["PROJECT"] == project)
            assert all(a[1] is not None and a[1] <= b[0] for a, b in zip(turns, turns[1:])), (project, turns)


def worker_of(daemon):
    return wait_until("a worker is active", lambda: daemon.workers(), 60)[0]["pid"]


def test_two_gantryds_share_the_work_and_the_locks(tmp_path, awssim, started):
    pair = Pair(tmp_path, awssim, started, lease="3s")
    pair.send(0, 20)
    pair.wait_ended(20)
    pair.check(20)
    # What one of them launched the other knows.
    for daemon in pair.daemons:
        assert json.loads(daemon.ctl("--json", "show", "job3").stdout)["state"] == "succeeded"

    # Stopped for longer than its lease, its jobs are the other's; continued, it does nothing more with them.
    stopped = worker_of(pair.daemons[1])
    pair.send(20, 20)
    pair.wait_launched(24)
    os.kill(stopped, signal.SIGSTOP)
    try:
        since = time.monotonic()
        pair.send(40, 5)
        wait_until("the lease is over", lambda: time.monotonic() - since > 4)
    finally:
        os.kill(stopped, signal.SIGCONT)
    pair.daemons[1].wait_for("stood still for .* longer than its lease", 60)
    pair.wait_ended(45)
    pair.check(45)


@pytest.mark.parametrize("away_s", [0, 6], ids=["for a moment", "longer than a lease"])
def test_killed_redis_loses_and_doubles_nothing(tmp_path, awssim, started, away_s):
    pair = Pair(tmp_path, awssim, started, lease="4s")
    pair.send(0, 30)
    pair.wait_launched(5)
    pair.kill_redis()
    since = time.monotonic()
    wait_until("it has been away", lambda: time.monotonic() - since >= away_s)
    pair.start_redis()
    pair.wait_ended(30)
    pair.check(30)


def test_server_is_looked_at_before_it_is_trusted(tmp_path, redis_server, started):
    """It may not evict keys; what it may lose is said."""

    def start():
        daemon = harness.Gantry(tmp_path, "log: { to: stderr }\n" + CONFIGURATION.format(
            directory=tmp_path, store=redis_server.url))
        started.append(daemon)
        return daemon

    redis_server.cli("config", "set", "maxmemory", "64mb")
    redis_server.cli("config", "set", "maxmemory-policy", "allkeys-lru")
    refused = start()
    assert refused.wait(60) == 1
    assert re.search("may evict keys .maxmemory-policy is allkeys-lru.", refused.text())
    redis_server.cli("config", "set", "maxmemory-policy", "noeviction")
    taken = start().wait_ready(60)
    assert re.search("level=warn .*keeps no append-only file", taken.text())


def test_store_that_is_full_is_seen_in_status_and_in_readiness(tmp_path, redis_server, started):
    text = CONFIGURATION.format(directory=tmp_path, store=redis_server.url).replace("workers: 1,", "workers: 1, lease: 6s,")
    daemon = harness.Gantry(tmp_path, text + f"api: {{ listen: [ \"unix:{tmp_path}/api.sock\" ] }}\n")
    started.append(daemon)
    daemon.wait_ready(60)

    def readyz():
        done = subprocess.run(["curl", "-sS", "--unix-socket", tmp_path / "api.sock", "-w", "\n%{http_code}", "http://x/readyz"],
                              capture_output=True, text=True, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return status, body

    def status():
        return [w.get("trouble", "") for w in json.loads(daemon.ctl("--json", "status").stdout)["workers"] if w["role"] == "worker"]

    wait_until("ready", lambda: readyz()[0] == "200", 60)
    assert status() == [""] and "degraded" not in daemon.ctl("status").stdout
    redis_server.cli("config", "set", "maxmemory", "1")
    wait_until("the worker tells of it", lambda: any("renewal" in t for t in status()), 60, pause=0.3)
    wait_until("it is not ready", lambda: readyz()[0] == "503" and "cannot write to the store" in readyz()[1], 60, pause=0.3)
    assert re.search("^worker [0-9]+ is degraded: .*renewal", daemon.ctl("status").stdout, re.MULTILINE)
    redis_server.cli("config", "set", "maxmemory", "0")
    wait_until("all is well again", lambda: readyz()[0] == "200" and not any(status()), 60, pause=0.3)


CONFIGURATION = """
supervisor: {{ workers: 1, pid_file: {directory}/gantryd.pid, control_socket: {directory}/control.sock }}
store: {store}
queues: {{ local: {{ type: store, default_deployer: shell }} }}
deployers: {{ shell: {{ type: process, command: ["/bin/true"] }} }}
"""
