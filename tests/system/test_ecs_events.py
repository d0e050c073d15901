# SPDX-License-Identifier: Apache-2.0
"""Events make no end late and none twice, however they come: before their task is watched, doubled and out of
order, or while the workers change.  A task that nobody hears of would be looked at after five minutes only."""

import json

from harness import main_job, send_jobs, wait_until

EVENTS = """  events:
    type: sqs
    url: {url}
    wait_time: 1s
"""
SOON_S = 60


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def described(sim):
    return sum(sim.stats()["calls"].get("DescribeTasks", {}).values())


def states(daemon):
    return [j["state"] for j in json.loads(daemon.ctl("--json", "jobs").stdout)]


def start(tmp_path, awssim, gantry, run_ms, workers=2, deployer_extra="", **change):
    sim = awssim("--queue", "deploys", "--queue", "events", "--task-start-ms", "1", "--task-run-ms", str(run_ms))
    sim.post("/_admin/events", {"queue_url": sim.queue_url("events")})
    daemon = gantry(main_job(
        tmp_path, sim.url, sim.queue_url("deploys"), workers=workers,
        queue_extra=EVENTS.format(url=sim.queue_url("events")), extra="ecs: { events: events }",
        deployer_extra="    lock: { policy: parallel }\n" + deployer_extra, **change))
    daemon.wait_ready()
    daemon.wait_for("task events come", count=workers)
    return sim, daemon


def send(daemon, prefix, count):
    send_jobs(daemon, [{"id": f"{prefix}{i}", "project": "p"} for i in range(count)])


def check_each_ended_once(sim, daemon, count):
    wait_until("all have ended", lambda: states(daemon) == ["succeeded"] * count, SOON_S, pause=0.2)
    wait_until("all messages are deleted", lambda: sim.get("/_account?env=GANTRY_JOB")["messages"]["deleted"] >= count)
    told = account(sim)
    assert told["tasks"]["created"] == count
    assert told["environment"]["doubled"] == []


def test_tasks_that_end_before_they_are_watched_are_not_left_to_the_sweep(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 1)
    send(daemon, "short-", 40)
    check_each_ended_once(sim, daemon, 40)


def test_events_may_come_twice_and_in_any_order(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 1500)
    sim.post("/_admin/duplicate", {"probability": 0.5, "after_delete": 0.3})
    send(daemon, "twice-", 40)
    check_each_ended_once(sim, daemon, 40)


def test_workers_that_take_over_miss_no_end(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 4000, drain_timeout="1s")
    send(daemon, "over-", 30)
    wait_until("all run", lambda: account(sim)["tasks"]["started"] == 30)
    daemon.ctl("reload")
    daemon.ctl("reload")
    check_each_ended_once(sim, daemon, 30)


def test_task_that_does_not_come_to_run_is_stopped_and_launched_anew(tmp_path, awssim, gantry):
    """Also with events: that nothing happens is no event."""
    sim, daemon = start(tmp_path, awssim, gantry, 100, workers=1, deployer_extra="    provisioning_timeout: 6s\n")
    sim.post("/_admin/ecs", {"start_ms": 600000})
    send(daemon, "stuck-", 1)
    wait_until("it is stopped", lambda: sim.stats()["calls"].get("StopTask"), SOON_S)
    sim.post("/_admin/ecs", {"start_ms": 1})
    wait_until("it has ended", lambda: states(daemon) == ["succeeded"], SOON_S, pause=0.2)
    shown = json.loads(daemon.ctl("--json", "show", "stuck-0").stdout)
    assert shown["attempt"]["number"] == 2, shown
    tasks = sim.get("/_account/tasks?after=0&limit=10")["tasks"]
    assert [t["stop_code"] for t in tasks] == ["UserInitiated", "EssentialContainerExited"]
    assert tasks[0]["started_ms"] is None
    assert "provisioning timeout" in daemon.text()
