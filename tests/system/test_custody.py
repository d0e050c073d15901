# SPDX-License-Identifier: Apache-2.0
"""A message and its job part and meet again: leases that are lost, receipts that another worker got, and the
twelve hours after which SQS takes every message back."""

import json
import signal
import sqlite3

from harness import main_job, send_jobs, wait_until

TWELVE_HOURS_MS = 12 * 3600 * 1000


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def jobs(daemon):
    return {j["id"]: j for j in json.loads(daemon.ctl("--json", "jobs").stdout)}


def wait_states(daemon, want, timeout=40):
    wait_until(f"{want}", lambda: {i: j["state"] for i, j in jobs(daemon).items()} == want, timeout, pause=0.1)


def faults(directory, kind):
    with sqlite3.connect(f"file:{directory}/gantry.db?mode=ro", uri=True) as store:
        return store.execute("select job_id, payload ->> 'error' from outbox where event = 'error' and payload ->> 'kind' = ?", (kind,)).fetchall()


def check_end(sim, count):
    wait_until("every message is deleted", lambda: account(sim)["messages"]["deleted"] == count, 30)
    told = account(sim)
    assert told["tasks"]["created"] == count
    assert told["environment"]["doubled"] == []


def test_message_held_for_nearly_twelve_hours_is_deleted_and_its_job_goes_on(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "600000")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": "runs", "project": "p"}, {"id": "waits", "project": "p"}])
    wait_states(daemon, {"runs": "running", "waits": "waiting"})
    daemon.stop(signal.SIGQUIT)
    with sqlite3.connect(tmp_path / "gantry.db") as store:
        store.execute("update jobs set received_ms = received_ms - ?", (TWELVE_HOURS_MS - 600000,))
    again = gantry(daemon.configuration.read_text()).wait_ready()
    wait_until("both messages are deleted", lambda: account(sim)["messages"]["deleted"] == 2)
    wait_states(again, {"runs": "running", "waits": "waiting"})
    assert faults(tmp_path, "lease_lost") == []
    again.ctl("cancel", "runs")
    wait_states(again, {"runs": "cancelled", "waits": "running"})
    again.ctl("cancel", "waits")
    check_end(sim, 2)


def test_redelivery_of_running_jobs_to_any_worker_starts_and_loses_nothing(tmp_path, awssim, gantry):
    """The queue shows the messages again while their jobs run: whoever gets one leaves the job where it is, and
    its message is deleted with the newest receipt."""
    count = 12
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "3600000")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=3,
                             deployer_extra="    lock: { policy: parallel }"))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": f"j{i}", "project": "p"} for i in range(count)])
    wait_states(daemon, {f"j{i}": "running" for i in range(count)})
    sim.post("/_admin/clock", {"advance_s": 31})
    wait_until("all come again", lambda: account(sim)["messages"]["received_again"] == count)
    sim.finish()
    wait_states(daemon, {f"j{i}": "succeeded" for i in range(count)})
    check_end(sim, count)
    assert account(sim)["messages"]["stale_deletes"] == 0, "deleted with a receipt that was not the newest"


def test_lost_lease_is_told_and_the_message_finds_its_job_again(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys", "--task-start-ms", "20", "--task-run-ms", "3600000")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=2, visibility_timeout="10s"))
    daemon.wait_ready()
    for action in ("ChangeMessageVisibility", "ChangeMessageVisibilityBatch"):
        sim.fault(kind="error", action=action, status=400, code="MessageNotInflight", count=1)
        sim.fault(kind="entry_error", action=action, code="MessageNotInflight", sender_fault=True, count=1)
    send_jobs(daemon, [{"id": "a", "project": "p"}])
    wait_states(daemon, {"a": "running"})
    wait_until("the lease is lost", lambda: faults(tmp_path, "lease_lost"), 30)
    sim.post("/_admin/fault", method="DELETE")
    sim.post("/_admin/clock", {"advance_s": 30})
    wait_until("it comes again", lambda: account(sim)["messages"]["received_again"] == 1)
    sim.finish()
    wait_states(daemon, {"a": "succeeded"})
    check_end(sim, 1)
    assert [job for job, _ in faults(tmp_path, "lease_lost")] == ["a"]
