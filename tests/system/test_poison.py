# SPDX-License-Identifier: Apache-2.0
"""A message that crashes the workers which handle it is handled twice and no more: then it is recorded with
its body, published and settled, and everything else goes on.

The crash is a real one: JSON that is nested deeply, for workers that were given a small stack."""

import json
import resource
from contextlib import contextmanager

import harness
from harness import main_job, send_jobs, wait_until

DEPTH = 2000
# With so little stack reading such a message overflows it.
READS_NOT = 128 << 10
PLAIN_CRASH = harness.SANITIZED["ASAN_OPTIONS"] + ":handle_segv=0"


@contextmanager
def small_stack(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def deep(job):
    return f'{{"id": "{job}", "project": "p", "deep": {"[" * DEPTH}{"]" * DEPTH}}}'


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def start(tmp_path, awssim, gantry, redis_server, stack, **change):
    sim = awssim("--queue", "deploys", "--no-auth", "--task-start-ms", "20", "--task-run-ms", "100")
    sinks = f'errors: [ {{ type: redis, url: "{redis_server.url}", list: "gantry:errors" }} ]'
    with small_stack(stack):
        daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), extra=sinks, **change),
                        ASAN_OPTIONS=PLAIN_CRASH)
    daemon.wait_ready()
    return sim, daemon


def send(sim, body):
    sim.call("SendMessage", {"QueueUrl": sim.queue_url("deploys"), "MessageBody": body})


def poison(redis_server):
    lines = redis_server.cli("lrange", "gantry:errors", "0", "-1").splitlines()
    return [e for e in map(json.loads, filter(None, lines)) if e["kind"] == "poison"]


def check_others_go_on(sim, daemon, before=0):
    send_jobs(daemon, [{"id": f"ok-{i}", "project": "p"} for i in range(3)])
    wait_until("the others succeed", lambda: len(json.loads(
        daemon.ctl("--json", "jobs", "--state", "succeeded").stdout)) == before + 3)
    wait_until("all messages are deleted", lambda: account(sim)["messages"]["deleted"] == before + 4)
    assert account(sim)["tasks"]["created"] == before + 3
    assert account(sim)["environment"]["doubled"] == []


def test_message_that_cannot_be_read_without_a_crash_is_quarantined(tmp_path, awssim, redis_server, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, redis_server, READS_NOT, workers=1)
    send(sim, deep("bad"))
    for crashes in (1, 2):
        daemon.wait_for("killed by signal 11", count=crashes)
        # The queue shows it again when the lease of the dead worker is over.
        sim.post("/_admin/clock", {"advance_s": 31})
    (told,) = wait_until("it is published", lambda: poison(redis_server))
    assert (told["queue"], told["body"]) == ("deploys", deep("bad"))
    check_others_go_on(sim, daemon)
    assert daemon.text().count("killed by signal 11") == 2


def test_job_that_cannot_be_launched_without_a_crash_is_failed(tmp_path, awssim, redis_server, gantry):
    """It was accepted by workers with stack enough, and waits; those who launch it have less."""
    sim, daemon = start(tmp_path, awssim, gantry, redis_server, 8 << 20,
                        deployer_extra='    command: [ "run", "{{ payload.project }}" ]')
    sim.fault(action="RunTask", kind="drop_before", count=-1)
    send_jobs(daemon, [{"id": "first", "project": "p"}])
    daemon.wait_for("job first.*accepted")
    send(sim, deep("bad"))
    daemon.wait_for("job bad.*accepted.*waiting")
    resource.prlimit(daemon.pid, resource.RLIMIT_STACK, (READS_NOT, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    for worker in daemon.workers():
        harness.os.kill(worker["pid"], harness.signal.SIGKILL)
    daemon.wait_for("killed by signal 9", count=2)
    sim.post("/_admin/fault", method="DELETE")
    daemon.wait_for("killed by signal 11", count=2)
    (told,) = wait_until("it is published", lambda: poison(redis_server))
    assert told["job"] == "bad"
    record = json.loads(daemon.ctl("--json", "show", "bad").stdout)
    assert (record["state"], record["reason"]) == ("failed", "poison")
    check_others_go_on(sim, daemon, before=1)
    assert daemon.text().count("killed by signal 11") == 2


def test_worker_that_is_killed_from_outside_blames_nobody(tmp_path, awssim, redis_server, gantry):
    sim, daemon = start(tmp_path, awssim, gantry, redis_server, 8 << 20, workers=1)
    sim.fault(kind="drop_before", action="RunTask", count=-1)
    send_jobs(daemon, [{"id": "slow", "project": "p"}])
    for kills in (1, 2, 3):
        wait_until("it is asked for", lambda: daemon.workers() and daemon.workers()[0]["in_flight"])
        harness.os.kill(daemon.workers()[0]["pid"], harness.signal.SIGKILL)
        daemon.wait_for("killed by signal 9", count=kills)
    sim.post("/_admin/fault", method="DELETE")
    wait_until("it succeeds", lambda: len(json.loads(daemon.ctl("--json", "jobs", "--state", "succeeded").stdout)) == 1)
    assert poison(redis_server) == []
