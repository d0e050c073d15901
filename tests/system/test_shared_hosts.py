# SPDX-License-Identifier: Apache-2.0
"""Two hosts with local commands on one store: what runs on one of them is followed there and nowhere else, however long
its gantryd is away; and when the host never returns, it is given up, and nothing of it is run again."""

import json
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import wait_until

CONFIGURATION = """
supervisor: {{ workers: 1, pid_file: {directory}/gantryd.pid, control_socket: {directory}/control.sock,
  state_dir: {directory}/state, lease: 3s, drain_timeout: 0s }}
store: {store}
queues: {{ local: {{ type: store }} }}
deployers:
  held: {{ type: process, parallel: 1, commands: [ 'echo $$GANTRY_JOB >> {shared}/ran',
    'while [ ! -e {shared}/go ]; do sleep 0.1; done' ] }}
  short: {{ type: process, timeout: 6s, commands: [ 'echo $$GANTRY_JOB >> {shared}/ran', 'exec sleep 600' ] }}
  plain: {{ type: process, commands: [ 'echo $$GANTRY_JOB >> {shared}/ran' ] }}
"""
STARTED = re.compile(r"attempt 1 of project \S+ runs as (\S+)#")


@pytest.fixture
def hosts_on(tmp_path, started, shared_store):
    """A function that gives hosts without a gantryd yet on a store of a kind; what is held there ends with the test."""
    yield lambda kind: Hosts(tmp_path, shared_store(kind), started)
    (tmp_path / "go").touch()


class Hosts:
    def __init__(self, tmp_path, store, started):
        self.shared, self.store, self.started = tmp_path, store, started

    def start(self, name):
        directory = self.shared / name
        directory.mkdir(exist_ok=True)
        daemon = harness.Gantry(directory, CONFIGURATION.format(directory=directory, shared=self.shared, store=self.store.url))
        self.started.append(daemon)
        return daemon.wait_ready(60)

    def submit(self, daemon, job, project, deployer):
        text = self.shared / "job.json"
        text.write_text(json.dumps({"id": job, "project": project, "deployer": deployer}))
        daemon.ctl("submit", text)

    def show(self, daemon, job):
        return json.loads(daemon.ctl("--json", "show", job).stdout)

    def wait_ran(self, *jobs):
        wait_until(f"{jobs} ran", lambda: set(jobs) <= set(self.ran()), 60)

    def ran(self):
        record = self.shared / "ran"
        return record.read_text().split() if record.exists() else []

    def wait_place_is_forgotten(self):
        """The lease of the host that has left is over, and one of the other's workers has looked for what is nobody's."""
        if self.store.kind == "redis":
            count = ["redis-cli", "-u", self.store.url, "ZCARD", "{gantry}:places"]
        else:
            count = ["psql", "-XAtqc", "SELECT count(*) FROM gantry.places WHERE lease_until_ms > gantry.server_ms()",
                     self.store.url]
        wait_until("one host is left", lambda: subprocess.run(
            count, capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "1", 60)


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_local_command_waits_for_its_host(tmp_path, hosts_on, kind):
    hosts = hosts_on(kind)
    one = hosts.start("one")
    hosts.submit(one, "runs", "p", "held")
    hosts.wait_ran("runs")
    # Intended on this host, which has no room for it.
    hosts.submit(one, "in-line", "q", "held")
    wait_until("it is in line", lambda: hosts.show(one, "in-line")["state"] == "launching", 60)
    two = hosts.start("two")
    assert one.stop() == 0
    hosts.wait_place_is_forgotten()
    assert [hosts.show(two, job)["state"] for job in ("runs", "in-line")] == ["running", "launching"]
    (tmp_path / "go").touch()
    one = hosts.start("one")
    for job in ("runs", "in-line"):
        wait_until("it has succeeded", lambda job=job: hosts.show(two, job)["state"] == "succeeded", 60)
        assert hosts.show(two, job)["exit_code"] == 0
    assert "adopted while running" in one.text() and "adopted while" not in two.text()
    assert hosts.ran() == ["runs", "in-line"]


def kill_host(hosts, daemon):
    """All that gantry runs there, and its state directory, at once."""
    runs = [match.group(1) for match in STARTED.finditer(daemon.text())]
    (worker,) = [w["pid"] for w in daemon.workers()]
    daemon.signal(signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    for directory in runs:
        record = dict(line.split(" ", 1) for line in open(f"{directory}/started", encoding="utf-8").read().splitlines()
                      if " " in line)
        os.kill(int(record["shim"]), signal.SIGKILL)
    (daemon.directory / "state").rename(daemon.directory / "state-of-a-dead-host")
    daemon.wait()


def test_commands_of_a_host_that_never_returns_are_given_up_and_not_run_again(hosts_on):
    hosts = hosts_on("redis")
    one = hosts.start("one")
    hosts.submit(one, "times-out", "p", "short")
    hosts.submit(one, "behind-it", "p", "plain")
    hosts.submit(one, "runs", "q", "held")
    hosts.wait_ran("times-out", "runs")
    hosts.submit(one, "in-line", "r", "held")
    wait_until("it is in line", lambda: hosts.show(one, "in-line")["state"] == "launching", 60)
    two = hosts.start("two")
    kill_host(hosts, one)

    # Nobody knows whether the host comes back: somebody has to say so, or the timeout does.
    two.ctl("cancel", "runs", check=False)
    two.ctl("cancel", "in-line", check=False)
    for job, reason in (("times-out", "host_lost"), ("runs", "host_lost"), ("in-line", "uncertain")):
        wait_until(f"{job} has ended", lambda job=job: hosts.show(two, job)["state"] == "failed", 90)
        shown = hosts.show(two, job)
        assert (shown["reason"], shown["attempt"]["number"]) == (reason, 1)
    # What only waited goes on here.
    wait_until("the next of its project", lambda: hosts.show(two, "behind-it")["state"] == "succeeded", 60)
    ran = hosts.ran()
    assert sorted(ran) == ["behind-it", "runs", "times-out"] and ran[-1] == "behind-it"
