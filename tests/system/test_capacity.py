# SPDX-License-Identifier: Apache-2.0
"""No room and too many calls cost time and nothing else: fallbacks are walked down, no attempt is used up, and all
workers together keep to the rate that the account has."""

import json
import sqlite3
from contextlib import closing

from harness import main_job, send_jobs, wait_until

def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def shown(daemon, job):
    return json.loads(daemon.ctl("--json", "show", job).stdout)


def start(tmp_path, awssim, gantry, holes, placement=None):
    """placement: lines that replace launch type and network of the main job's deployer."""
    sim = awssim("--queue", "deploys", "--task-start-ms", "5", "--task-run-ms", "50")
    for hole in holes:
        sim.post("/_admin/capacity", {"available": 0, **hole})
    text = main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1,
                    deployer_extra="    lock: { policy: parallel }")
    if placement is not None:
        lines = [line for line in text.splitlines() if "launch_type:" not in line and "network:" not in line]
        at = next(i for i, line in enumerate(lines) if "container: app" in line)
        text = "\n".join(lines[:at + 1] + placement + lines[at + 1:]) + "\n"
    daemon = gantry(text)
    daemon.wait_ready()
    return sim, daemon


def check_succeeded_in_the_first_attempt(sim, daemon, jobs):
    wait_until("all messages are deleted", lambda: account(sim)["messages"]["deleted"] >= len(jobs), 90, pause=0.2)
    for job in jobs:
        record = shown(daemon, job)
        assert record["state"] == "succeeded", record
        assert record["attempt"]["number"] == 1, record
    told = account(sim)
    assert told["tasks"]["created"] == len(jobs)
    assert told["environment"]["doubled"] == []


def test_provider_without_room_is_passed_over(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, [{"provider": "FARGATE_SPOT"}], [
        "    capacity_providers: [ FARGATE_SPOT, FARGATE ]", "    network: { subnets: [subnet-1] }"])
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(5)])
    check_succeeded_in_the_first_attempt(sim, daemon, [f"j{i}" for i in range(5)])


def test_zone_without_room_is_passed_over(tmp_path, awssim, gantry):
    """Named together, the full zone is the one that is chosen; named alone, the other one has room."""
    sim, daemon = start(tmp_path, awssim, gantry, [{"subnet": "subnet-1"}], [
        "    launch_type: FARGATE", "    network: { subnets: [subnet-1, subnet-2] }"])
    sim.post("/_admin/ecs", {"first_subnet": True})
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(6)])
    check_succeeded_in_the_first_attempt(sim, daemon, [f"j{i}" for i in range(6)])


def test_job_waits_as_long_as_there_is_no_room_anywhere(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, [{"provider": "FARGATE"}])
    send_jobs(daemon, [{"id": "j", "project": "p"}])
    wait_until("room was asked for", lambda: sum(sim.stats()["calls"].get("RunTask", {}).values()) >= 2, 60)
    assert shown(daemon, "j")["state"] == "launching"
    sim.post("/_admin/capacity", {"provider": "FARGATE", "available": -1})
    check_succeeded_in_the_first_attempt(sim, daemon, ["j"])


def test_workers_share_the_rate_of_their_account(tmp_path, awssim, gantry, figures):
    """Each worker by itself would begin at twenty a second and grow."""
    per_s, count, workers = 30, 300, 4
    sim = awssim("--queue", "deploys", "--task-start-ms", "5", "--task-run-ms", "50")
    sim.post("/_admin/rate", {"action": "RunTask", "per_s": per_s, "burst": per_s})
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=workers,
                             deployer_extra="    lock: { policy: parallel }"))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(count)])
    wait_until("all messages are deleted", lambda: account(sim)["messages"]["deleted"] >= count, 120, pause=0.3)
    calls = sim.stats()["calls"]["RunTask"]
    created = sorted(t["created_ms"] for t in sim.get(f"/_account/tasks?after=0&limit={count}")["tasks"])
    took_s = (created[-1] - created[0]) / 1000
    throttled = calls.get("ThrottlingException", 0)
    figures(f"{count} launches at {count / took_s:.1f}/s of {per_s}/s, {throttled} throttled")
    assert calls["ok"] == count
    assert throttled <= count * 0.2
    assert count / took_s >= per_s * 0.1
    assert account(sim)["environment"]["doubled"] == []


def launch_rates(tmp_path):
    with closing(sqlite3.connect(f"file:{tmp_path}/gantry.db?mode=ro", uri=True, timeout=60)) as db:
        # A worker's first launch is asked for before any ARN has told the account.
        return [per_s for per_s, in db.execute("SELECT per_s FROM rates WHERE bucket LIKE '%/unknown/RunTask'")]


def test_rate_begins_where_the_operator_says_and_stays_over_a_restart(tmp_path, awssim, gantry):
    """Nobody waits for the rate here, so it grows by itself in neither of the two."""
    sim = awssim("--queue", "deploys", "--task-start-ms", "5", "--task-run-ms", "50")
    plain = main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1)
    said = plain.replace("aws: { ", "aws: { run_task_rate: 500, ")
    for job, text in ("first", said), ("second", plain):
        daemon = gantry(text)
        daemon.wait_ready()
        send_jobs(daemon, [{"id": job, "project": "p"}])
        wait_until(f"the {job} job is over", lambda name=job: shown(daemon, name)["state"] == "succeeded", 90, pause=0.2)
        daemon.stop()
        assert launch_rates(tmp_path) == [500]
