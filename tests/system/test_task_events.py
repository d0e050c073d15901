# SPDX-License-Identifier: Apache-2.0
"""Task state changes through a queue: an end is known at once, whoever receives it, and tasks are asked after
only now and then; without the events everything is as without them."""

import json
import time

from harness import main_job, send_jobs, wait_until

EVENTS = """  events:
    type: sqs
    url: {url}
    wait_time: 1s
"""


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def calls(sim, action):
    return sum(sim.stats()["calls"].get(action, {}).values())


def deleted(sim, queue):
    page = sim.get(f"/_account/messages?queue={queue}&after=0&limit=5000")
    assert page["next"] is None
    return [m for m in page["messages"] if m["deletes"]], page["messages"]


def states(daemon):
    return [j["state"] for j in json.loads(daemon.ctl("--json", "jobs").stdout)]


def start(tmp_path, awssim, gantry, run_ms, workers=3):
    sim = awssim("--queue", "deploys", "--queue", "events", "--task-start-ms", "20", "--task-run-ms", str(run_ms),
                 "--no-auth")
    sim.post("/_admin/events", {"queue_url": sim.queue_url("events")})
    text = main_job(
        tmp_path, sim.url, sim.queue_url("deploys"), workers=workers, log_level="debug",
        queue_extra=EVENTS.format(url=sim.queue_url("events")), deployer_extra="    lock: { policy: parallel }",
        extra="ecs: { events: events }")
    # Whether the queue works is looked at with each renewal of the lease.
    daemon = gantry(text.replace("supervisor:", "supervisor:\n  lease: 6s"))
    daemon.wait_ready()
    daemon.wait_for("task events come", count=workers)
    return sim, daemon


def test_ends_are_heard_by_whoever_watches_and_seldom_asked_for(tmp_path, awssim, gantry):
    count = 30
    sim, daemon = start(tmp_path, awssim, gantry, 8000)
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(count)])
    wait_until("all run", lambda: account(sim)["tasks"]["started"] == count)
    wait_until("all are watched", lambda: states(daemon) == ["running"] * count)
    described, began = calls(sim, "DescribeTasks"), time.monotonic()
    wait_until("all have ended", lambda: states(daemon) == ["succeeded"] * count, 40)
    wait_until("all messages are deleted", lambda: account(sim)["messages"]["deleted"] >= count)
    # By their age, each of three workers would have asked once a second.
    assert calls(sim, "DescribeTasks") - described < max(12, 1.5 * (time.monotonic() - began))
    assert account(sim)["tasks"]["created"] == count
    gone, all_events = wait_until("all events are deleted", lambda: (d := deleted(sim, "events"))[0] and
                                  len(d[0]) == len(d[1]) and d)
    assert len(all_events) >= 2 * count


def test_what_is_no_event_or_of_no_job_of_ours_is_deleted(tmp_path, awssim, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, 200, workers=1)
    foreign = {"detail-type": "ECS Task State Change", "detail": {
        "taskArn": "arn:aws:ecs:us-east-1:000000000000:task/prod/0123", "lastStatus": "STOPPED",
        "overrides": {"containerOverrides": [{"name": "x", "environment": [{"name": "GANTRY_JOB", "value": "nobody"}]}]}}}
    for body in ("rubbish", "{}", json.dumps(foreign), json.dumps({"id": "a", "project": "p"})):
        sim.call("SendMessage", {"QueueUrl": sim.queue_url("events"), "MessageBody": body})
    wait_until("all are deleted", lambda: len(deleted(sim, "events")[0]) == 4)
    assert states(daemon) == []
    daemon.wait_for("is no task state change", count=3)


def test_without_the_events_ends_are_found_by_asking(tmp_path, awssim, gantry):
    """The queue of events cannot be received from, so the new generation never counts on them."""
    sim, daemon = start(tmp_path, awssim, gantry, 4000, workers=1)
    sim.fault(kind="error", action="ReceiveMessage", match="/events", status=403, code="AccessDenied", count=-1)
    daemon.ctl("reload")
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_until("it has ended", lambda: states(daemon) == ["succeeded"], 40)
    assert daemon.text().count("task events come") == 1
