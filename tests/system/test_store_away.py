# SPDX-License-Identifier: Apache-2.0
"""A store that is away for a whole minute, under two gantryds that share it: nothing new is taken or launched meanwhile,
what runs goes on, and every result follows when the store is back."""

import time

import pytest

import auditor
import harness
from harness import main_job, send_jobs, wait_until
from receivers import Receiver

AWAY_S = 60
TOLD = 'notify: [ {{ type: webhook, url: "{url}/results", allow_private: true }} ]'


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


class Site:
    """awssim whose tasks run until they are told to end, a store, and two gantryds that read one queue."""

    def __init__(self, tmp_path, awssim, store, receiver, started):
        self.store = store
        self.sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "3600000")
        self.daemons = []
        for name in ("one", "two"):
            directory = tmp_path / name
            directory.mkdir()
            text = main_job(directory, self.sim.url, self.sim.queue_url("deploys"), workers=1, max_in_flight=8, wait_time="1s",
                            visibility_timeout="10s", extra=TOLD.format(url=receiver.url))
            text = text.replace(f"store: sqlite://{directory}/gantry.db", f"store: {store.url}")
            self.daemons.append(harness.Gantry(directory, text.replace("supervisor:\n", "supervisor:\n  lease: 10s\n")))
            started.append(self.daemons[-1])
        for daemon in self.daemons:
            daemon.wait_ready(120)
        self.sent = 0

    def send(self, count, projects):
        messages = [{"id": f"job{self.sent + i}", "project": f"p{(self.sent + i) % projects}"} for i in range(count)]
        send_jobs(self.daemons[0], messages)
        self.sent += count

    def tasks(self):
        return auditor.read_account(self.sim.url)[0]

    def running(self):
        return [task for task in self.tasks() if task["stopped_ms"] is None]

    def end_tasks(self):
        """All that run, and until nobody is left who could start one."""
        self.sim.finish()
        return not any(job["live"] for job in auditor.read_store(self.store.url).jobs.values())


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_store_away_for_a_minute_is_waited_for(tmp_path, awssim, started, shared_store, receiver, kind):
    site = Site(tmp_path, awssim, shared_store(kind), receiver, started)
    site.send(8, projects=8)
    wait_until("eight tasks run", lambda: len(site.running()) == 8, 120, pause=0.2)
    wait_until("the store knows of them", lambda: sum(
        job["state"] == "running" for job in auditor.read_store(site.store.url).jobs.values()) == 8, 120, pause=0.2)

    site.store.crash()
    since = time.monotonic()
    site.send(12, projects=4)
    # Nobody stops what runs; half of it comes to its own end now, with nobody who could write that down.
    wait_until("it has been away for a while", lambda: time.monotonic() - since > AWAY_S / 2, pause=0.5, timeout=600)
    assert len(site.running()) == len(site.tasks()) == 8
    site.sim.finish()
    wait_until("it has been away", lambda: time.monotonic() - since > AWAY_S, pause=0.5, timeout=600)
    assert len(site.tasks()) == 8 and site.sim.get("/_account")["messages"]["deleted"] == 0
    wait_until("receiving pauses", lambda: any("receiving pauses until they can" in d.text() for d in site.daemons), 120)

    site.store.start()
    wait_until("all is settled", lambda: site.end_tasks() and
               site.sim.get("/_account")["messages"]["deleted"] == site.sent, 180, pause=0.5)
    left = auditor.read_store(site.store.url)
    assert {job["state"] for job in left.jobs.values()} == {"succeeded"} and len(left.jobs) == site.sent
    assert not left.locks
    account = site.sim.get("/_account?env=GANTRY_JOB")
    assert account["environment"]["doubled"] == [] and account["tasks"]["created"] == site.sent
    wait_until("all is told", lambda: {post.json["data"]["id"] for post in receiver.posts} == set(left.jobs), 120)
    for project in {task["environment"]["PROJECT"] for task in site.tasks()}:
        turns = [(t["created_ms"], t["stopped_ms"]) for t in site.tasks() if t["environment"]["PROJECT"] == project]
        assert all(a[1] is not None and a[1] <= b[0] for a, b in zip(turns, turns[1:])), (project, turns)
    # They were the same processes all the while.
    assert all("left with status" not in daemon.text() for daemon in site.daemons)
