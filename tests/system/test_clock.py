# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set by hours under a running daemon, ahead and back: no lease ends, nothing that runs
is stopped, delays and backoffs last as long as they should, and AWS takes our signatures all the same.

gantryd and its workers see their wall clock through libfaketime; the simulator keeps the true one, and
judges.  The monotonic clocks are nobody's to set, so they are left alone."""

import glob
import os
import signal
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

import harness
from harness import PlainAwsSim, PlainGantry, main_job, send_jobs, wait_until

HOURS = [6, -6]
# What the hours of the clock must not end; a machine that stands still for seconds must not either.
LEASE_S, VISIBILITY_S = 15, 30
SUPERVISOR = "  lease: {lease_s}s\n  watchdog: 0\n  probation: 0\n  restart_delay: 10ms\n  restart_delay_max: 100ms\n"


def preload():
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    assert found, "libfaketime is not installed: the Debian package is faketime"
    return found[0]


class Clocked:
    """A simulator that keeps the true time, and a gantryd whose wall clock can be set."""

    def __init__(self, directory, started, *options, run_ms=400, hours=0, extra="", deployer_extra="", lease_s=LEASE_S,
                 visibility_s=VISIBILITY_S):
        self.directory, self.started = directory, started
        self.stamp = directory / "faketime"
        self.set_clock(hours)
        self.sim = PlainAwsSim(directory, "--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", run_ms,
                               "--task-stop-ms", "5", *options)
        started.append(self.sim)
        text = main_job(directory, self.sim.url, self.sim.queue_url("deploys"), wait_time="1s", drain_timeout="1s",
                        visibility_timeout=f"{visibility_s}s", extra=extra, deployer_extra=deployer_extra)
        self.text = text.replace("supervisor:\n", "supervisor:\n" + SUPERVISOR.format(lease_s=lease_s))
        self.daemon = None

    def start(self):
        self.daemon = PlainGantry(self.directory, self.text, LD_PRELOAD=preload(), FAKETIME_TIMESTAMP_FILE=str(self.stamp),
                                  FAKETIME_NO_CACHE="1", NO_FAKE_STAT="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
        self.started.append(self.daemon)
        self.daemon.wait_ready()

    def set_clock(self, hours):
        """All processes see it at their next look."""
        new = self.stamp.with_suffix(".new")
        new.write_text(f"{hours * 3600:+d}\n")
        new.rename(self.stamp)

    def send(self, *messages):
        """From a machine whose clock is right."""
        environment = {k: v for k, v in self.daemon.environment.items() if k != "LD_PRELOAD"}
        send_jobs(SimpleNamespace(configuration=self.daemon.configuration, environment=environment), messages)

    def rows(self, sql, *values):
        with closing(sqlite3.connect(f"file:{self.directory}/gantry.db?mode=ro", uri=True, timeout=60)) as db:
            return db.execute(sql, values).fetchall()

    def state(self, job):
        found = self.rows("SELECT state FROM jobs WHERE id = ?", job)
        return found[0][0] if found else None

    def wait_state(self, job, *states, timeout=30.0):
        wait_until(f"{job} is {' or '.join(states)}", lambda: self.state(job) in states, timeout)

    def tasks(self):
        return sorted(self.sim.get("/_account/tasks?limit=1000")["tasks"], key=lambda t: t["created_ms"])

    def task_of(self, job):
        return next((t for t in self.tasks() if t["environment"]["GANTRY_JOB"] == job), None)

    def wait_task(self, job, timeout=30.0):
        return wait_until(f"a task of {job}", lambda: self.task_of(job), timeout)

    def calls(self, action):
        return self.sim.stats()["calls"].get(action, {})

    def settled(self, count):
        return (self.sim.get("/_account")["messages"]["deleted"] >= count
                and not self.rows("SELECT id FROM jobs WHERE live = 1"))

    def check(self, *jobs, timeout=60.0):
        """Each was launched once and succeeded, no message came again, nothing was stopped, no lease lost."""
        wait_until("all settled", lambda: self.settled(len(jobs)), timeout, pause=0.1)
        launched = [t["environment"]["GANTRY_JOB"] for t in self.tasks()]
        assert sorted(launched) == sorted(jobs)
        assert [row for row in self.rows("SELECT id, state, reason FROM jobs") if row[1] != "succeeded"] == []
        assert self.rows("SELECT key FROM locks WHERE holder IS NOT NULL") == []
        told = self.sim.get("/_account")["messages"]
        assert (told["received_again"], told["stale_deletes"]) == (0, 0)
        assert self.calls("StopTask") == {}
        assert "lease had ended" not in self.daemon.text()


def signed_wrong(calls):
    """How many calls were refused for their time."""
    return sum(n for outcomes in calls.values() for outcome, n in outcomes.items()
               if any(word in outcome for word in ("Skew", "Signature", "Expired")))


@pytest.fixture
def clocked(tmp_path, started):
    harness.plain_build()

    def make(*options, **how):
        return Clocked(tmp_path, started, *options, **how)

    return make


def test_only_the_wall_clock_is_set(clocked):
    world = clocked(hours=6)
    world.start()
    stamp = world.daemon.wait_for(r"time=(\S+)Z level=info msg=\"ready")[1]
    ahead_s = time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())
    assert abs(ahead_s - 6 * 3600) < 120
    (boot_ms,) = world.rows("SELECT max(lease_until_ms) FROM owners")[0]
    assert abs(boot_ms / 1000 - time.clock_gettime(time.CLOCK_BOOTTIME)) < 120


@pytest.mark.parametrize("hours", HOURS)
def test_signatures_are_taken_with_a_wrong_clock_and_one_that_is_set(clocked, figures, hours):
    world = clocked(hours=hours)
    world.start()
    world.send({"id": "a", "project": "a"})
    world.wait_state("a", "succeeded")
    world.set_clock(-hours)
    world.send({"id": "b", "project": "b"})
    world.check("a", "b")
    # A worker is told once, or once for each call that was under way then, and knows better.
    refused = signed_wrong(world.sim.stats()["calls"])
    figures(f"{refused} calls were refused for their time, by 2 workers and 2 jumps")
    assert 1 <= refused <= 24


@pytest.mark.parametrize("hours", HOURS)
def test_what_runs_waits_and_is_held_goes_on_when_the_clock_is_set(clocked, hours):
    """Longer than the message is hidden and than the lease; and each worker dies on top, so that all is
    adopted by one that was started after the clock was set."""
    lease_s, visibility_s = 12, 20
    world = clocked(run_ms=(visibility_s + 2) * 1000, lease_s=lease_s, visibility_s=visibility_s)
    world.start()
    world.send(*[{"id": f"{project}0", "project": project} for project in "abcd"], {"id": "a1", "project": "a"})
    for job in "abcd":
        world.wait_task(f"{job}0")
    world.wait_state("a1", "waiting")
    world.set_clock(hours)
    for worker in world.daemon.workers():
        os.kill(worker["pid"], signal.SIGKILL)
    world.daemon.wait_for("adopted while (?:running|launching)", count=4)
    world.check("a0", "b0", "c0", "d0", "a1")
    first, second = world.task_of("a0"), world.task_of("a1")
    assert second["created_ms"] >= first["stopped_ms"]


@pytest.mark.parametrize("hours", HOURS)
def test_a_delay_lasts_as_long_as_it_was_asked_for(clocked, hours):
    world = clocked()
    world.start()
    delay_s = 4
    world.send({"id": "later", "project": "p", "delay": f"{delay_s}s"})
    sent_ms = world.sim.get("/_account/messages?limit=1")["messages"][0]["sent_ms"]
    world.wait_state("later", "waiting", "queued")
    world.set_clock(hours)
    for worker in world.daemon.workers():
        os.kill(worker["pid"], signal.SIGKILL)
    task = world.wait_task("later")
    assert task["created_ms"] - sent_ms >= delay_s * 1000 - 50
    world.check("later")


@pytest.mark.parametrize("hours", HOURS)
def test_a_backoff_does_not_wait_for_the_clock(clocked, hours):
    world = clocked(deployer_extra="    attempts: 2\n    allow: { environment: [\"SIM_*\"] }\n")
    world.start()
    world.sim.fault(action="RunTask", kind="throttle", count=5)
    world.send({"id": "throttled", "project": "p"})
    wait_until("a throttle", lambda: world.calls("RunTask"))
    world.set_clock(hours)
    world.check("throttled", timeout=40)


@pytest.mark.parametrize("hours", [*HOURS, 30, -30])
def test_stopped_daemon_finds_its_tasks_when_the_clock_was_set_meanwhile(clocked, hours):
    """Also one that was asked for and whose name never came back."""
    world = clocked(run_ms=3600000)
    world.start()
    world.send({"id": "runs", "project": "a"})
    world.wait_state("runs", "running")
    world.sim.fault(action="RunTask", kind="delay", ms=5000)
    world.send({"id": "asked", "project": "b"})
    world.wait_task("asked")
    for pid in [world.daemon.pid, *(w["pid"] for w in world.daemon.status()["workers"])]:
        os.kill(pid, signal.SIGKILL)
    world.daemon.wait()
    world.set_clock(hours)
    world.start()
    world.sim.finish()
    world.check("runs", "asked")


@pytest.mark.parametrize("hours", [13, -13])
def test_a_message_is_not_given_up_as_held_for_twelve_hours_when_the_clock_is_set(clocked, hours):
    world = clocked(run_ms=3600000)
    world.start()
    world.send({"id": "held", "project": "p"})
    world.wait_task("held")
    world.set_clock(hours)
    world.daemon.ctl("reload")
    world.daemon.wait_for("adopted while (?:running|launching)")
    assert world.task_of("held")["stopped_ms"] is None
    assert world.sim.get("/_account")["messages"]["deleted"] == 0
    world.sim.finish()
    world.check("held")


def test_a_worker_that_waits_for_slower_ones_keeps_its_lease(clocked):
    """It is ready and takes no job yet, for longer than a lease lasts, as another hears late from its queue."""
    lease_s = 12
    world = clocked(run_ms=1500, lease_s=lease_s)
    world.start()
    world.sim.fault(action="GetQueueAttributes", kind="delay", ms=(lease_s + 3) * 1000, count=1)
    world.daemon.ctl("reload")
    world.send({"id": "after", "project": "p"})
    world.check("after")
    assert len(world.daemon.workers()) == 2
