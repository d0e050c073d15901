# SPDX-License-Identifier: Apache-2.0
"""A list behind Redis Sentinel: when the master is lost, the server that takes its place is used."""

import signal

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
