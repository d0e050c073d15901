# SPDX-License-Identifier: Apache-2.0
"""Nothing of one lock key interleaves: each policy keeps its word, people can see and free a key, and what a
job waits for is there to read."""

import json

from harness import main_job, send_jobs, wait_until

ENDED = ("succeeded", "failed", "cancelled", "superseded")


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def tasks(sim):
    found = sim.get("/_account/tasks?after=0&limit=1000")["tasks"]
    return sorted(found, key=lambda t: t["created_ms"])


def launched(sim):
    return [t["environment"]["GANTRY_JOB"] for t in tasks(sim)]


def jobs(daemon):
    return {j["id"]: j for j in json.loads(daemon.ctl("--json", "jobs").stdout)}


def wait_states(daemon, want, timeout=40):
    def look():
        found = jobs(daemon)
        return found if all(found.get(i, {}).get("state") in s for i, s in want.items()) else None

    return wait_until(f"{want}", look, timeout, pause=0.1)


def start(tmp_path, awssim, gantry, run_ms, workers=2, deployer_extra="", **change):
    deployer_extra += '\n    allow: { environment: ["SIM_*"] }'
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", str(run_ms))
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=workers, deployer_extra=deployer_extra,
                             **change))
    daemon.wait_ready()
    return sim, daemon


def runs_ms(job, run_ms, project="p", **more):
    return {"id": job, "project": project, "environment": {"SIM_RUN_MS": str(run_ms)}, **more}


def check_in_turn(sim):
    times = [(t["created_ms"], t["stopped_ms"]) for t in tasks(sim)]
    assert all(left[1] is not None and left[1] <= right[0] for left, right in zip(times, times[1:])), times


def check_end(sim, count):
    wait_until("every message is deleted", lambda: account(sim)["messages"]["deleted"] == count)
    assert account(sim)["environment"]["doubled"] == []


def test_unlock_stops_the_holder_before_the_next_begins(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 600000)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["running"]})
    send_jobs(daemon, [{"id": "b", "project": "p", "priority": 9}])
    wait_states(daemon, {"b": ["waiting"]})
    (lock,) = json.loads(daemon.ctl("--json", "locks").stdout)
    assert (lock["key"], lock["holder"], lock["waiting"]) == ("p", "a", 1)
    daemon.ctl("unlock", "p")
    found = wait_states(daemon, {"a": ["cancelled"], "b": ["running"]})
    assert found["a"]["reason"] == "unlocked"
    daemon.ctl("cancel", "b")
    check_in_turn(sim)
    check_end(sim, 2)
    assert json.loads(daemon.ctl("--json", "locks").stdout) == []


def test_fence_grows_with_each_holder_of_a_key(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 60)
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(6)])
    wait_states(daemon, {f"j{i}": ["succeeded"] for i in range(6)})
    fences = [int(t["environment"]["GANTRY_FENCE"]) for t in tasks(sim)]
    assert fences == sorted(set(fences)) and len(fences) == 6
    check_in_turn(sim)
    check_end(sim, 6)


def test_latest_leaves_the_newest_of_those_that_wait(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 50, workers=1, deployer_extra="    lock: { policy: latest }")
    send_jobs(daemon, [runs_ms("a", 600000)])
    wait_states(daemon, {"a": ["running"]})
    for job in "bcd":
        send_jobs(daemon, [{"id": job, "project": "p"}])
        wait_states(daemon, {job: ["waiting", "queued"]})
    sim.finish()
    wait_states(daemon, {"a": ["succeeded"], "b": ["superseded"], "c": ["superseded"], "d": ["succeeded"]})
    assert launched(sim) == ["a", "d"]
    check_in_turn(sim)
    check_end(sim, 4)


def test_reject_fails_what_comes_while_the_key_is_held(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 50, deployer_extra="    lock: { policy: reject }")
    send_jobs(daemon, [runs_ms("a", 600000)])
    wait_states(daemon, {"a": ["running"]})
    send_jobs(daemon, [{"id": "b", "project": "p"}, {"id": "c", "project": "q"}])
    wait_states(daemon, {"b": ["failed"], "c": ["succeeded"]})
    sim.finish()
    found = wait_states(daemon, {"a": ["succeeded"], "b": ["failed"], "c": ["succeeded"]})
    assert found["b"]["reason"] == "locked"
    assert sorted(launched(sim)) == ["a", "c"]
    check_end(sim, 3)


def test_priority_orders_those_that_wait(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 50, workers=1)
    send_jobs(daemon, [runs_ms("first", 600000)])
    wait_states(daemon, {"first": ["running"]})
    send_jobs(daemon, [{"id": "low", "project": "p", "priority": 0}, {"id": "middle", "project": "p"},
                       {"id": "high", "project": "p", "priority": 9}])
    wait_states(daemon, {i: ["waiting"] for i in ("low", "middle", "high")})
    sim.finish()
    wait_states(daemon, {i: ["succeeded"] for i in ("first", "low", "middle", "high")})
    assert launched(sim) == ["first", "high", "middle", "low"]
    check_in_turn(sim)
    check_end(sim, 4)


def test_key_is_kept_between_the_attempts_of_a_job(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 3600000, deployer_extra="    attempts: 3")
    send_jobs(daemon, [{"id": "fails", "project": "p", "environment": {"SIM_EXIT_CODE": "1"}}])
    wait_states(daemon, {"fails": ["running"]})
    send_jobs(daemon, [runs_ms("next", 50)])
    wait_states(daemon, {"next": ["waiting"]})
    for attempt in range(3):
        wait_until("its task runs", lambda n=attempt: len(tasks(sim)) > n and tasks(sim)[n]["started_ms"])
        sim.finish()
    found = wait_states(daemon, {"fails": ["failed"], "next": ["succeeded"]})
    assert found["fails"]["attempt"]["number"] == 3
    assert launched(sim) == ["fails"] * 3 + ["next"]
    check_in_turn(sim)
    wait_until("every message is deleted", lambda: account(sim)["messages"]["deleted"] == 2)


def test_retried_job_waits_its_turn_and_runs_again(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 50)
    send_jobs(daemon, [{"id": "a", "project": "p", "environment": {"SIM_EXIT_CODE": "1", "SIM_RUN_MS": "50"}}])
    wait_states(daemon, {"a": ["failed"]})
    check_end(sim, 1)
    send_jobs(daemon, [runs_ms("b", 600000)])
    wait_states(daemon, {"b": ["running"]})
    # Its message's end is noted a moment after its result; a retry before that is refused.
    wait_until("a is retried", lambda: daemon.ctl("retry", "a", check=False).returncode == 0)
    wait_states(daemon, {"a": ["waiting"]})
    sim.finish()
    found = wait_states(daemon, {"b": ["succeeded"], "a": ["failed"]})
    wait_until("its second attempt has ended", lambda: jobs(daemon)["a"].get("attempt", {}).get("number") == 2)
    wait_states(daemon, {"a": ["failed"]})
    assert found["b"]["state"] == "succeeded"
    assert launched(sim) == ["a", "b", "a"]
    check_in_turn(sim)


def test_why_tells_of_the_lock_and_of_missing_capacity(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 100)
    sim.fault(kind="failures", action="RunTask", code="RESOURCE:CPU", count=-1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": ["launching"]})
    send_jobs(daemon, [{"id": "b", "project": "p"}])
    wait_until("why a", lambda: "capacity: RESOURCE:CPU on FARGATE" in daemon.ctl("why", "a").stdout, 40, pause=0.2)
    wait_until("why b", lambda: "a" in daemon.ctl("why", "b").stdout, pause=0.2)
    sim.post("/_admin/fault", method="DELETE")
    wait_states(daemon, {"a": ["succeeded"], "b": ["succeeded"]}, timeout=60)
    assert jobs(daemon)["a"]["attempt"]["number"] == 1
    assert launched(sim) == ["a", "b"]
    check_in_turn(sim)
    check_end(sim, 2)
