# SPDX-License-Identifier: Apache-2.0
"""A job goes on where its record says it was, whoever held it before and however that one left: the same
task, one launch, its own result, its message deleted and never received twice."""

import json
import os
import signal
import sqlite3
import time

import pytest

from harness import main_job, send_jobs, wait_until

ENDED = ("succeeded", "failed", "cancelled", "superseded")


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def tasks(sim):
    return sim.get("/_account/tasks?after=0&limit=1000")["tasks"]


def jobs(daemon):
    return {j["id"]: j for j in json.loads(daemon.ctl("--json", "jobs").stdout)}


def calls(sim, action):
    return sum(sim.stats()["calls"].get(action, {}).values())


def wait_states(daemon, want, timeout=40):
    """Waits until each job is in one of its states; returns the records."""
    def look():
        found = jobs(daemon)
        return found if all(found.get(i, {}).get("state") in s for i, s in want.items()) else None

    try:
        return wait_until(f"{want}", look, timeout, pause=0.1)
    except AssertionError as failure:
        raise AssertionError(f"{failure}\n{ {i: j['state'] for i, j in jobs(daemon).items()} }") from None


def finished_ms(directory, job):
    with sqlite3.connect(f"file:{directory}/gantry.db?mode=ro", uri=True) as store:
        return store.execute("select finished_ms from jobs where id = ?", (job,)).fetchone()[0]


def only_worker(daemon):
    return wait_until("one worker is active", lambda: daemon.workers())[0]["pid"]


def kill_worker(daemon):
    os.kill(only_worker(daemon), signal.SIGKILL)
    daemon.wait_for("killed by signal 9")


def check_end(sim, launched, received_again=0):
    told = wait_until("every message is deleted",
                      lambda: (a := account(sim))["messages"]["deleted"] == a["messages"]["sent"] and a, 30)
    assert told["tasks"]["created"] == launched
    assert told["environment"]["doubled"] == []
    assert told["messages"]["received_again"] == received_again


# -- however it is left -----------------------------------------------------------------------------

def leave_by_signal(number):
    def leave(daemon, gantry):
        daemon.signal(number)
        assert daemon.wait() == 0
        return gantry(daemon.configuration.read_text()).wait_ready()
    return leave


def leave_by_upgrade(daemon, _gantry):
    daemon.ctl("upgrade")
    wait_until("the old generation has left", lambda: {w["generation"] for w in daemon.status()["workers"]} == {2})
    return daemon


def leave_by_reload(daemon, _gantry):
    daemon.ctl("reload")
    wait_until("the old generation has left", lambda: {w["generation"] for w in daemon.status()["workers"]} == {2})
    return daemon


def leave_by_crash(daemon, gantry):
    """The master is killed: its workers hand over and leave; nothing else tells them to."""
    pids = [w["pid"] for w in daemon.workers()]
    # What they hand over to nobody is found by the next daemon's tick.
    text = daemon.configuration.read_text().replace("supervisor:", "supervisor:\n  lease: 6s")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    again = gantry(text).wait_ready()
    wait_until("its workers have left", lambda: not any(os.path.exists(f"/proc/{p}") for p in pids))
    return again


@pytest.mark.parametrize("leave", [
    pytest.param(leave_by_signal(signal.SIGTERM), id="TERM"),
    pytest.param(leave_by_signal(signal.SIGQUIT), id="QUIT"),
    pytest.param(leave_by_upgrade, id="upgrade"),
    pytest.param(leave_by_reload, id="reload"),
    pytest.param(leave_by_crash, id="crash"),
])
def test_what_runs_and_what_waits_goes_on(tmp_path, awssim, gantry, leave):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "600000")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), drain_timeout="200ms",
                             deployer_extra='    allow: { environment: ["SIM_*"] }'))
    daemon.wait_ready()
    send_jobs(daemon, [
        {"id": "good", "project": "p"},
        {"id": "bad", "project": "q", "environment": {"SIM_EXIT_CODE": "3"}},
        {"id": "next", "project": "p", "environment": {"SIM_RUN_MS": "50"}},
        {"id": "later", "project": "r", "delay": "5s", "environment": {"SIM_RUN_MS": "50"}},
    ])
    wait_states(daemon, {"good": ["running"], "bad": ["running"], "next": ["waiting"], "later": ["waiting", *ENDED]})
    before = {t["arn"] for t in tasks(sim) if t["environment"]["GANTRY_JOB"] in ("good", "bad")}
    again = leave(daemon, gantry)
    sim.finish()
    found = wait_states(again, {i: ENDED for i in ("good", "bad", "next", "later")})
    assert {i: (j["state"], j["exit_code"]) for i, j in found.items()} == {
        "good": ("succeeded", 0), "bad": ("failed", 3), "next": ("succeeded", 0), "later": ("succeeded", 0)}
    assert {j["attempt"]["handle"] for i, j in found.items() if i in ("good", "bad")} == before
    check_end(sim, launched=4)
    assert calls(sim, "StopTask") == 0


# -- wherever it was when its worker died ----------------------------------------------------------------

def start(tmp_path, awssim, gantry, *options):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", *options)
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1,
                             deployer_extra='    allow: { environment: ["SIM_*"] }'))
    daemon.wait_ready()
    return sim, daemon


@pytest.mark.parametrize("fault", ["stall", "drop_before"])
def test_intent_without_a_name_becomes_one_task(tmp_path, awssim, gantry, fault):
    """It died after it asked for a task and before it knew of one: "stall" has started it, "drop_before" has not."""
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "200")
    sim.fault(kind=fault, action="RunTask", count=1 if fault == "stall" else -1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_until("it has asked", lambda: account(sim)["tasks"]["created"] if fault == "stall" else calls(sim, "RunTask"))
    wait_states(daemon, {"a": ["launching"]})
    kill_worker(daemon)
    sim.post("/_admin/fault", method="DELETE")
    found = wait_states(daemon, {"a": ENDED})["a"]
    assert (found["state"], found["attempt"]["number"]) == ("succeeded", 1)
    check_end(sim, launched=1)


def test_job_that_waits_for_its_lock_keeps_its_place(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry)
    send_jobs(daemon, [{"id": i, "project": "p", "environment": {"SIM_RUN_MS": run_ms}}
                       for i, run_ms in (("a", "3600000"), ("b", "50"), ("c", "50"))])
    wait_states(daemon, {"a": ["running"], "b": ["waiting"], "c": ["waiting"]})
    kill_worker(daemon)
    sim.finish()
    wait_states(daemon, {i: ["succeeded"] for i in "abc"})
    spans = sorted((t["created_ms"], t["stopped_ms"], t["environment"]["GANTRY_JOB"]) for t in tasks(sim))
    assert [job for _, _, job in spans] == ["a", "b", "c"]
    assert all(left[1] <= right[0] for left, right in zip(spans, spans[1:]))
    check_end(sim, launched=3)


def test_task_that_ended_while_nobody_watched_is_judged_all_the_same(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000")
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["running"]})
    daemon.stop(signal.SIGQUIT)
    sim.finish()
    wait_until("it has ended", lambda: tasks(sim)[0]["stopped_ms"])
    again = gantry(daemon.configuration.read_text()).wait_ready()
    found = wait_states(again, {"a": ENDED})["a"]
    assert (found["state"], found["exit_code"]) == ("succeeded", 0)
    check_end(sim, launched=1)


def test_result_that_is_stored_is_not_made_again(tmp_path, awssim, gantry):
    """It died after the result was stored and before the message was deleted."""
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "100")
    sim.fault(kind="http_500", action="DeleteMessageBatch", count=-1)
    sim.fault(kind="http_500", action="DeleteMessage", count=-1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["succeeded"]})
    finished = finished_ms(tmp_path, "a")
    kill_worker(daemon)
    sim.post("/_admin/fault", method="DELETE")
    check_end(sim, launched=1)
    assert finished_ms(tmp_path, "a") == finished


def test_job_without_its_deployer_runs_to_its_end(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, "--task-run-ms", "600000")
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["running"]})
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("  mystical:\n", "  other:\n").replace(": mystical", ": other"))
    daemon.ctl("reload")
    sim.finish()
    found = wait_states(daemon, {"a": ENDED})["a"]
    assert found["state"] == "succeeded"
    check_end(sim, launched=1)


def test_timeout_is_kept_across_a_stop_and_without_its_deployer(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "600000")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1, deployer_extra="    timeout: 4s"))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["running", *ENDED]})
    daemon.stop(signal.SIGQUIT)
    text = daemon.configuration.read_text().replace("  mystical:\n", "  other:\n").replace(": mystical", ": other")
    again = gantry(text.replace("timeout: 4s", "timeout: 1h")).wait_ready()
    found = wait_states(again, {"a": ENDED})["a"]
    assert (found["state"], found["reason"]) == ("failed", "timeout")
    ran_ms = tasks(sim)[0]["stopped_ms"] - tasks(sim)[0]["created_ms"]
    assert ran_ms >= 3900, "stopped before its time"
    check_end(sim, launched=1)


def test_worker_that_stood_still_for_longer_than_its_lease_does_nothing_more(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys:VisibilityTimeout=60", "--task-start-ms", "20", "--task-run-ms", "500")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1, drain_timeout="2s\n  lease: 3s",
                             visibility_timeout="10s"))
    daemon.wait_ready()
    pid = only_worker(daemon)
    os.kill(pid, signal.SIGSTOP)
    try:
        send_jobs(daemon, [{"id": f"job{i}", "project": f"p{i}"} for i in range(10)])
        stopped = time.monotonic()
        wait_until("the lease is over", lambda: time.monotonic() - stopped > 4)
    finally:
        os.kill(pid, signal.SIGCONT)
    daemon.wait_for("stood still for .* longer than its lease")
    wait_states(daemon, {f"job{i}": ("succeeded",) for i in range(10)}, 90)
    assert account(sim)["environment"]["doubled"] == []
    assert account(sim)["tasks"]["created"] == 10
