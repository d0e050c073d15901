# SPDX-License-Identifier: Apache-2.0
"""A job whose end is asked for: never launched after that, "cancelling" until its task has really stopped,
and "cancelled" in the end, whoever dies in between."""

import json
import os
import signal

import pytest

from harness import main_job, send_jobs, wait_until

ENDED = ("succeeded", "failed", "cancelled", "superseded")


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def tasks(sim):
    return sim.get("/_account/tasks?after=0&limit=1000")["tasks"]


def task_of(sim, job):
    return next((t for t in tasks(sim) if t["environment"].get("GANTRY_JOB") == job), None)


def show(daemon, job):
    done = daemon.ctl("--json", "show", job, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"state": "unknown"}


def wait_state(daemon, job, *states, timeout=40):
    return wait_until(f"{job} is {' or '.join(states)}", lambda: (s := show(daemon, job))["state"] in states and s, timeout,
                      pause=0.1)


def start(tmp_path, awssim, gantry, *options, workers=1, **change):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", *options)
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=workers,
                             deployer_extra='    allow: { environment: ["SIM_*"] }', **change))
    daemon.wait_ready()
    return sim, daemon


def runs_ms(job, run_ms):
    return {"id": job, "project": "p", "environment": {"SIM_RUN_MS": str(run_ms)}}


def wait_running(sim, daemon, job):
    wait_state(daemon, job, "running")
    wait_until("its task runs", lambda: (task_of(sim, job) or {}).get("started_ms"))


def check_nothing_left(sim, daemon):
    """No message, no task, no lock is left behind."""
    wait_until("messages deleted", lambda: (m := account(sim)["messages"])["deleted"] == m["sent"])
    wait_until("tasks stopped", lambda: all(t["stopped_ms"] for t in tasks(sim)))
    assert account(sim)["environment"]["doubled"] == []
    wait_until("nothing in flight", lambda: all(w["in_flight"] == 0 for w in daemon.workers()))


def test_waiting_job_is_cancelled_at_once_and_never_launched(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry)
    send_jobs(daemon, [runs_ms("a", 600000), runs_ms("b", 50), runs_ms("c", 50)])
    wait_running(sim, daemon, "a")
    wait_state(daemon, "b", "waiting")
    wait_state(daemon, "c", "waiting")
    daemon.ctl("cancel", "b")
    assert show(daemon, "b")["state"] == "cancelled"
    sim.finish()
    assert [wait_state(daemon, j, *ENDED)["state"] for j in "ac"] == ["succeeded", "succeeded"]
    check_nothing_left(sim, daemon)
    assert account(sim)["tasks"]["created"] == 2
    assert daemon.ctl("cancel", "b", check=False).returncode == 1


def test_delayed_job_is_cancelled_at_once(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry)
    send_jobs(daemon, [{"id": "a", "project": "p", "delay": "1h"}])
    wait_state(daemon, "a", "waiting")
    daemon.ctl("cancel", "a")
    check_nothing_left(sim, daemon)
    assert account(sim)["tasks"]["created"] == 0


def test_running_job_is_cancelling_until_its_task_has_stopped(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000", "--task-stop-ms", "8000")
    send_jobs(daemon, [{"id": "a", "project": "p"}, {"id": "b", "project": "p"}])
    wait_running(sim, daemon, "a")
    daemon.ctl("cancel", "--no-wait", "a")
    wait_state(daemon, "a", "cancelling")
    assert show(daemon, "b")["state"] == "waiting"
    record = wait_state(daemon, "a", *ENDED)
    assert (record["state"], record["reason"]) == ("cancelled", "cancelled")
    assert "gantryctl" in record["detail"]
    wait_running(sim, daemon, "b")
    first, second = task_of(sim, "a"), task_of(sim, "b")
    assert first["stopped_ms"] <= second["created_ms"], "the next one began before the cancelled one had stopped"
    daemon.ctl("cancel", "b")
    check_nothing_left(sim, daemon)


def test_task_that_ends_before_its_stop_keeps_its_own_verdict(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000")
    sim.fault(kind="error", action="StopTask", status=500, count=-1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_running(sim, daemon, "a")
    daemon.ctl("cancel", "--no-wait", "a")
    sim.finish()
    assert wait_state(daemon, "a", *ENDED)["state"] == "succeeded"
    check_nothing_left(sim, daemon)


def test_job_that_waits_for_capacity_is_cancelled(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "100")
    sim.fault(kind="failures", action="RunTask", code="RESOURCE:CPU", count=-1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_state(daemon, "a", "launching")
    daemon.ctl("cancel", "a")
    assert show(daemon, "a")["state"] == "cancelled"
    check_nothing_left(sim, daemon)
    assert account(sim)["tasks"]["created"] == 0


def test_launch_whose_answer_was_lost_is_found_and_stopped(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000")
    sim.fault(kind="lost_answer", action="RunTask", count=1)
    sim.fault(kind="drop_before", action="RunTask", count=-1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_until("the task is there", lambda: account(sim)["tasks"]["created"] == 1)
    daemon.ctl("cancel", "a")
    assert show(daemon, "a")["state"] == "cancelled"
    check_nothing_left(sim, daemon)
    assert account(sim)["tasks"]["created"] == 1


def holder_of_job(daemon):
    return wait_until("who holds it", lambda: next((w["pid"] for w in daemon.workers() if w["in_flight"] > 0), None))


@pytest.mark.parametrize("when", ["before", "after"])
def test_cancel_outlives_the_worker_that_is_asked(tmp_path, awssim, gantry, when):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000", "--task-stop-ms", "1500", workers=2)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_running(sim, daemon, "a")
    victim = holder_of_job(daemon)
    if when == "before":
        os.kill(victim, signal.SIGSTOP)
        daemon.ctl("cancel", "--no-wait", "a")
        assert show(daemon, "a")["state"] == "cancelling"
    else:
        daemon.ctl("cancel", "--no-wait", "a")
        wait_until("its stop was asked for", lambda: task_of(sim, "a").get("stop_asked_ms") or
                   sim.stats()["calls"].get("StopTask"))
    os.kill(victim, signal.SIGKILL)
    record = wait_state(daemon, "a", *ENDED)
    assert (record["state"], record["reason"]) == ("cancelled", "cancelled")
    assert task_of(sim, "a")["stopped_ms"]
    check_nothing_left(sim, daemon)


def test_cancel_of_a_waiting_job_outlives_its_worker(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000", workers=1)
    send_jobs(daemon, [{"id": "a", "project": "p"}, {"id": "b", "project": "p"}])
    wait_running(sim, daemon, "a")
    wait_state(daemon, "b", "waiting")
    victim = daemon.workers()[0]["pid"]
    os.kill(victim, signal.SIGSTOP)
    daemon.ctl("cancel", "b")
    assert show(daemon, "b")["state"] == "cancelled"
    os.kill(victim, signal.SIGKILL)
    sim.finish()
    assert wait_state(daemon, "a", *ENDED)["state"] == "succeeded"
    check_nothing_left(sim, daemon)
    assert account(sim)["tasks"]["created"] == 1


def test_cancel_while_nobody_is_there_is_carried_out_when_gantryd_is_back(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000", drain_timeout="0s")
    send_jobs(daemon, [{"id": "a", "project": "p"}, {"id": "b", "project": "p"}])
    wait_running(sim, daemon, "a")
    wait_state(daemon, "b", "waiting")
    assert daemon.stop() == 0
    daemon.ctl("cancel", "--no-wait", "a", check=False)
    daemon.ctl("cancel", "--no-wait", "b", check=False)
    assert show(daemon, "a")["state"] == "cancelling"
    assert show(daemon, "b")["state"] == "cancelled"
    assert not task_of(sim, "a")["stopped_ms"]
    again = gantry(daemon.configuration.read_text())
    again.wait_ready()
    assert wait_state(again, "a", *ENDED)["state"] == "cancelled"
    check_nothing_left(sim, again)
    assert account(sim)["tasks"]["created"] == 1
