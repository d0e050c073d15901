# SPDX-License-Identifier: Apache-2.0
"""Redis lists of bare ids: each is launched once and in order, whoever is killed meanwhile, and nothing is left behind."""

import json
import signal
import subprocess

import pytest

from conftest import free_port
from harness import Gantry, Program, RedisServer, send_jobs, wait_until

CONFIGURATION = """
supervisor:
  workers: {workers}
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  state_dir: {directory}/state
  drain_timeout: 1s
  lease: 5s
store: sqlite://{directory}/gantry.db
queues:
  builds:
    type: redis
    url: {url}
    list: build-queue
    body: {{ project: "{{{{ body }}}}", deployer: shell }}
    {queue_extra}
deployers:
  shell:
    type: process
    commands: [ 'echo "$$GANTRY_PROJECT" >> {directory}/ran' ]
    parallel: 16
    {deployer_extra}
"""


class DurableRedis(RedisServer):
    """redis-server that has written down what it has answered."""

    def __init__(self, directory, port):
        self.port = port
        Program.__init__(self, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
                                "--appendfsync", "always", "--dir", directory], directory, "redis")
        self.url = f"redis://127.0.0.1:{port}/0"
        self.wait_for("Ready to accept connections")


class Site:
    def __init__(self, directory, gantry, redis, **change):
        self.directory, self.gantry, self.redis = directory, gantry, redis
        values = {"directory": directory, "url": redis.url, "workers": 2, "queue_extra": "", "deployer_extra": ""}
        self.configuration = CONFIGURATION.format(**{**values, **change})
        self.start()

    def start(self):
        self.daemon = self.gantry(self.configuration).wait_ready()

    def push(self, ids):
        self.redis.cli("LPUSH", "build-queue", *ids)

    def ran(self):
        record = self.directory / "ran"
        return record.read_text().split() if record.exists() else []

    def wait_ran(self, count):
        wait_until(f"{count} launches", lambda: len(self.ran()) >= count, 120)

    def kill_worker(self):
        """SIGKILL, which nobody can have prepared for."""
        victim = wait_until("a worker", lambda: self.daemon.workers())[0]["pid"]
        subprocess.run(["kill", "-KILL", str(victim)], check=True)

    def left(self):
        return {key: self.redis.cli("EXISTS", "build-queue" + key).strip()
                for key in ("", ":gantry:taking", ":gantry:held", ":dead")}

    def wait_empty(self):
        wait_until("empty lists", lambda: set(self.left().values()) == {"0"}, 90)


def ids_of(first, last):
    return [f"id-{number:04}" for number in range(first, last)]


@pytest.fixture
def durable_redis(tmp_path, started):
    program = DurableRedis(tmp_path, free_port())
    started.append(program)
    return program


@pytest.mark.parametrize("pop,push", [("right", "LPUSH"), ("left", "RPUSH")])
def test_bare_ids_are_launched_in_the_order_in_which_they_were_pushed(tmp_path, redis_server, gantry, pop, push):
    """One lock for all, so that the order of acceptance is the order of launches."""
    redis_server.cli(push, "build-queue", *ids_of(0, 15))
    site = Site(tmp_path, gantry, redis_server, workers=1, queue_extra=f"pop: {pop}", deployer_extra="lock: { key: one }")
    redis_server.cli(push, "build-queue", *ids_of(15, 30))
    site.wait_ran(30)
    assert site.ran() == ids_of(0, 30)
    site.wait_empty()


def test_each_id_is_launched_once_through_killed_workers_a_killed_server_and_a_restart(
        tmp_path, durable_redis, started, gantry, figures):
    site = Site(tmp_path, gantry, durable_redis)
    site.push(ids_of(0, 100))
    site.wait_ran(10)
    site.kill_worker()
    site.push(ids_of(100, 200))
    site.wait_ran(40)
    durable_redis.signal(signal.SIGKILL)
    durable_redis.wait()
    site.kill_worker()
    site.redis = DurableRedis(tmp_path, durable_redis.port)
    started.append(site.redis)
    site.push(ids_of(200, 300))
    site.wait_ran(120)
    assert site.daemon.stop() == 0
    site.start()
    site.wait_ran(300)
    site.wait_empty()
    ran = site.ran()
    assert sorted(ran) == ids_of(0, 300)
    figures(f"300 ids, 2 killed workers, a killed redis-server, a restart: {len(ran)} launches")


def test_what_a_stopped_gantryd_has_not_taken_stays_in_the_list(tmp_path, redis_server, gantry):
    site = Site(tmp_path, gantry, redis_server)
    site.push(["before"])
    site.wait_ran(1)
    site.wait_empty()
    assert site.daemon.stop() == 0
    site.push(["after"])
    assert site.left() == {"": "1", ":gantry:taking": "0", ":gantry:held": "0", ":dead": "0"}
    site.start()
    site.wait_ran(2)
    site.wait_empty()
    assert site.ran() == ["before", "after"]


def test_gantryctl_sends_looks_counts_and_brings_back_dead_letters(tmp_path, redis_server, gantry):
    site = Site(tmp_path, gantry, redis_server, workers=1, queue_extra="malformed: dead_letter",
                deployer_extra="lock: { key: one }")
    site.push(["", "good"])
    site.wait_ran(1)
    wait_until("the dead letter", lambda: site.left()[":dead"] == "1")
    site.wait_ran(1)
    assert site.daemon.stop() == 0
    ctl = site.daemon.ctl
    assert "1 " in ctl("redrive", "builds").stdout
    send_jobs(site.daemon, [{"project": "sent"}], "builds")
    peeked = json.loads(ctl("--json", "peek", "builds", "--count", 5).stdout)
    bodies = [message["body"] for message in (peeked["messages"] if isinstance(peeked, dict) else peeked)]
    assert bodies[0] == "" and json.loads(bodies[1]) == {"project": "sent"}
    assert "build-queue:dead" in ctl("queues").stdout
    assert redis_server.cli("LLEN", "build-queue").strip() == "2"


def test_a_list_and_local_commands_need_no_credentials_of_aws(tmp_path, redis_server, started):
    configuration = CONFIGURATION.format(directory=tmp_path, url=redis_server.url, workers=1, queue_extra="",
                                         deployer_extra="")
    daemon = Gantry(tmp_path, configuration, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    started.append(daemon)
    daemon.wait_ready()
    redis_server.cli("LPUSH", "build-queue", "one")
    wait_until("the launch", lambda: (tmp_path / "ran").exists())
