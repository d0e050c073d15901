# SPDX-License-Identifier: Apache-2.0
"""A list and a store behind Redis Sentinel: when the master is lost, the server that takes its place is used."""

import json
import signal

import pytest

from conftest import free_port
from harness import Program, RedisServer, wait_until
from test_redis_queue import Site


class Server(RedisServer):
    def __init__(self, directory, port, *options):
        self.port = port
        Program.__init__(self, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", directory,
                                *options], directory, f"redis-{port}")
        self.wait_for("Ready to accept connections")


class Sentinel(RedisServer):
    def __init__(self, directory, port, master):
        self.port = port
        configuration = directory / "sentinel.conf"
        configuration.write_text(f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor one 127.0.0.1 {master} 1\n"
                                 "sentinel down-after-milliseconds one 1000\nsentinel failover-timeout one 10000\n")
        Program.__init__(self, ["redis-server", configuration, "--sentinel"], directory, "sentinel")
        self.wait_for(r"\+monitor master one")

    def master(self):
        return int(self.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "one").split()[1])


def test_another_master_is_found_and_used(tmp_path, gantry, started):
    def begin(program):
        started.append(program)
        return program

    first = begin(Server(tmp_path, free_port()))
    second = begin(Server(tmp_path, free_port(), "--replicaof", f"127.0.0.1 {first.port}"))
    wait_until("the replica follows", lambda: "master_link_status:up" in second.cli("INFO", "replication"), 60)
    sentinel = begin(Sentinel(tmp_path, free_port(), first.port))
    wait_until("the replica is known", lambda: str(second.port) in sentinel.cli("SENTINEL", "REPLICAS", "one"), 60)

    # One that nobody listens at comes first.
    first.url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/one"
    site = Site(tmp_path, gantry, first)
    site.push(["before"])
    site.wait_ran(1)
    # What the replica has not heard of is lost with the master, and that "before" was taken must not be.
    site.wait_empty()
    first.cli("SET", "mark", "here")
    wait_until("the replica has all", lambda: second.cli("GET", "mark").strip() == "here", 60)
    first.signal(signal.SIGKILL)
    first.wait()
    wait_until("another master", lambda: sentinel.master() == second.port, 120, pause=0.2)
    site.redis = second
    wait_until("it takes writes", lambda: "role:master" in second.cli("INFO", "replication"), 60)
    site.push(["after"])
    site.wait_ran(2)
    assert site.ran() == ["before", "after"]
    site.wait_empty()


STORE = """
supervisor: {{ workers: 1, pid_file: {dir}/pid, control_socket: {dir}/control.sock, state_dir: {dir}/state }}
store: {store}
api: {{ listen: [ "unix:{dir}/api.sock" ] }}
queues: {{ local: {{ type: store, default_deployer: shell }} }}
deployers:
  shell:
    type: process
    command: [ /bin/sh, -c, "echo $$GANTRY_JOB >> {dir}/ran; until [ -e {dir}/go-$$GANTRY_JOB ]; do sleep 0.05; done" ]
    parallel: 4
"""


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "replaced while it lives"])
def test_store_goes_on_with_another_master(tmp_path, gantry, started, killed):
    def begin(program):
        started.append(program)
        return program

    first = begin(Server(tmp_path, free_port()))
    second = begin(Server(tmp_path, free_port(), "--replicaof", f"127.0.0.1 {first.port}"))
    wait_until("the replica follows", lambda: "master_link_status:up" in second.cli("INFO", "replication"), 60)
    sentinel = begin(Sentinel(tmp_path, free_port(), first.port))
    wait_until("the replica is known", lambda: str(second.port) in sentinel.cli("SENTINEL", "REPLICAS", "one"), 60)
    daemon = gantry(STORE.format(dir=tmp_path, store=f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/one"))
    daemon.wait_ready()
    daemon.wait_for("replicas hear of a write after it was answered.*min-replicas-to-write is 0")

    def submit(name, *words):
        return daemon.ctl("submit", *words, "--project", name, "--id", name, timeout=180)

    def state(name):
        return json.loads(daemon.ctl("--json", "show", name, check=False).stdout or "{}").get("state")

    (tmp_path / "go-before").touch()
    submit("before", "--wait")
    submit("over")
    wait_until("it runs", lambda: state("over") == "running", 60, pause=0.1)
    first.cli("SET", "mark", "here")
    wait_until("the replica has all", lambda: second.cli("GET", "mark").strip() == "here", 60)
    if killed:
        first.signal(signal.SIGKILL)
        first.wait()
    else:
        wait_until("it is to be replaced", lambda: sentinel.cli("SENTINEL", "FAILOVER", "one").strip() == "OK", 60, pause=0.5)
    wait_until("another master", lambda: sentinel.master() == second.port, 120, pause=0.2)
    # The old one learns of it last, and what it took meanwhile would be lost.
    if not killed:
        daemon.wait_for("worker .*: store: redis.*the sentinels name another master", count=2)
    (tmp_path / "go-over").touch()
    wait_until("its result is stored", lambda: state("over") == "succeeded", 120, pause=0.2)
    (tmp_path / "go-after").touch()
    submit("after", "--wait")
    assert [state(name) for name in ("before", "over", "after")] == ["succeeded"] * 3
    assert second.cli("EXISTS", "{gantry}:schema").strip() == "1"
    assert (tmp_path / "ran").read_text().split() == ["before", "over", "after"]
