# SPDX-License-Identifier: Apache-2.0
"""A consumer group of a Redis stream: each entry is launched once, whoever is killed meanwhile; and a backlog brings
workers, is warned of, and lets them go again."""

import json
import signal

from conftest import free_port
from harness import wait_until
from test_redis_queue import DurableRedis, Site as ListSite

CONFIGURATION = """
supervisor:
  workers: {workers}
  pid_file: {directory}/gantryd.pid
  control_socket: {directory}/control.sock
  state_dir: {directory}/state
  drain_timeout: 1s
  lease: 5s
  {supervisor_extra}
store: sqlite://{directory}/gantry.db
queues:
  builds:
    type: redis-stream
    url: {url}
    stream: builds
    field: id
    delete: true
    body: {{ project: "{{{{ body }}}}", deployer: shell }}
    {queue_extra}
deployers:
  shell:
    type: process
    commands: [ '{command}' ]
    parallel: 16
errors: [ {{ type: redis, url: "{url}", list: errors }} ]
"""


class Site(ListSite):
    def __init__(self, directory, gantry, redis, **change):
        self.directory, self.gantry, self.redis = directory, gantry, redis
        values = {"directory": directory, "url": redis.url, "workers": 2, "queue_extra": "", "supervisor_extra": "",
                  "command": f'echo "$$GANTRY_PROJECT" >> {directory}/ran'}
        self.configuration = CONFIGURATION.format(**{**values, **change})
        self.start()

    def push(self, ids):
        for one in ids:
            self.redis.cli("XADD", "builds", "*", "id", one)

    def group(self):
        """What the group has given out and not seen the end of, and what it has not given out."""
        told = self.redis.cli("--json", "XINFO", "GROUPS", "builds")
        (group,) = [g for g in json.loads(told) if g["name"] == "gantry"]
        return group["pending"], group["lag"]

    def wait_empty(self):
        wait_until("nothing is left", lambda: self.group() == (0, 0) and self.redis.cli("XLEN", "builds").strip() == "0", 90)


def begin(started, directory, port):
    program = DurableRedis(directory, port)
    started.append(program)
    return program


def test_each_entry_is_launched_once_through_a_killed_worker_and_a_killed_server(tmp_path, gantry, started):
    port, count = free_port(), 90
    redis = begin(started, tmp_path, port)
    site = Site(tmp_path, gantry, redis)
    ids = [f"p{i}" for i in range(count)]
    site.push(ids[:30])
    site.wait_ran(10)
    site.kill_worker()
    site.push(ids[30:60])
    site.wait_ran(35)
    redis.signal(signal.SIGKILL)
    redis.wait()
    site.redis = begin(started, tmp_path, port)
    site.push(ids[60:])
    site.wait_ran(count)
    site.wait_empty()
    assert sorted(site.ran()) == sorted(ids)


def test_backlog_is_told_of_brings_workers_and_lets_them_go(tmp_path, gantry, started):
    redis = begin(started, tmp_path, free_port())
    gate = tmp_path / "gate"
    site = Site(tmp_path, gantry, redis, workers=1,
                supervisor_extra="depth_interval: 1s\n  scale: { min: 1, max: 3, depth_per_worker: 4 }",
                queue_extra="max_in_flight: 1\n    warn_depth: 3\n    alarm_depth: 10",
                command=f'while ! test -e {gate}; do sleep 0.1; done; echo "$$GANTRY_PROJECT" >> {tmp_path}/ran')
    site.push([f"p{i}" for i in range(30)])
    site.daemon.wait_for(r"messages wait, alarm_depth is 10", 60)
    wait_until("three workers", lambda: len(site.daemon.workers()) == 3, 60)
    told = wait_until("the alarm", lambda: redis.cli("LRANGE", "errors", "0", "-1"), 60)
    assert "queue_depth" in told and "alarm_depth is 10" in told
    site.daemon.wait_for(r"2 workers instead of 1, as \d+ messages wait")
    gate.touch()
    site.wait_ran(30)
    site.daemon.wait_for(r"messages wait: as usual again", 60)
    wait_until("one less", lambda: len(site.daemon.workers()) < 3, 60)
    # A count set by hand stays.
    site.daemon.ctl("workers", "1")
    wait_until("one", lambda: len(site.daemon.workers()) == 1, 60)
    site.wait_empty()
    assert sorted(site.ran()) == sorted(f"p{i}" for i in range(30))
