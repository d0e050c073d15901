# SPDX-License-Identifier: Apache-2.0
"""What lies in a dead-letter queue can be looked at, counted and brought back, and looking harms nothing."""

import json
import subprocess

import pytest

from harness import BUILDDIR, SRCDIR, main_job, send_jobs, wait_until


def account(sim):
    return sim.get("/_account?env=GANTRY_JOB")


def queues(sim, fifo, receives):
    """A queue with a redrive policy; returns its name and that of its dead-letter queue."""
    suffix = ".fifo" if fifo else ""
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
    sim.call("CreateQueue", {"QueueName": "dead" + suffix, "Attributes": attributes})
    told = sim.call("GetQueueAttributes", {"QueueUrl": sim.queue_url("dead" + suffix), "AttributeNames": ["All"]})
    sim.call("CreateQueue", {"QueueName": "deploys" + suffix, "Attributes": {**attributes, "RedrivePolicy": json.dumps(
        {"deadLetterTargetArn": told["Attributes"]["QueueArn"], "maxReceiveCount": receives})}})
    return "deploys" + suffix, "dead" + suffix


def fits_the_clients_schemas(record):
    """Holds SQS's requests against the schemas of AWS's own client; returns the actions."""
    requests = [json.loads(line) for line in record.read_text().splitlines()]
    lines = [json.dumps({"action": r["action"], "body": r["body"]}) for r in requests if r["service"] == "sqs"]
    modules = BUILDDIR / "peers/node_modules"
    done = subprocess.run([modules / ".bin/node", SRCDIR / "tests/system/peers/validate_sqs.mjs", modules],
                          input="\n".join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return {json.loads(line)["action"] for line in lines}


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_dead_letters_run_after_the_repair_and_a_redrive(tmp_path, awssim, gantry, fifo):
    count = 6
    record = tmp_path / "requests"
    sim = awssim("--no-auth", "--task-start-ms", "5", "--task-run-ms", "20", "--record", record)
    name, dead = queues(sim, fifo, 2)
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url(name), queue_extra="    malformed: dead_letter"))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": f"job-{i}", "project": "p", "deployer": "later"} for i in range(count)], "deploys",
              *(["--group", "g"] if fifo else []))
    wait_until("all are dead letters", lambda: account(sim)["messages"]["dead_lettered"] == count, 60)
    [told] = json.loads(daemon.ctl("--json", "queues").stdout)
    assert (told["name"], told["waiting"], told["max_receives"]) == ("deploys", 0, 2)
    assert told["dead_letter"].endswith(f":{dead}")
    text = daemon.configuration.read_text()
    daemon.configuration.write_text(text.replace("  mystical:\n", "  later:\n").replace(
        "default_deployer: mystical", "default_deployer: later"))
    daemon.ctl("reload")
    # An old worker's open receive would still find the messages malformed.
    wait_until("the old workers have left", lambda: {w["state"] for w in daemon.status()["workers"]} == {"active"}, 30)
    assert json.loads(daemon.ctl("--json", "redrive", "deploys").stdout) == {"moved": count}
    wait_until("all have run", lambda: account(sim)["tasks"]["stopped"] == count, 60)
    wait_until("all are settled", lambda: account(sim)["messages"]["undeleted"] == 0, 30)
    tasks = sim.get("/_account/tasks?limit=100")["tasks"]
    ran = [task["environment"]["GANTRY_JOB"] for task in sorted(tasks, key=lambda task: task["created_ms"])]
    assert sorted(ran) == [f"job-{i}" for i in range(count)]
    if fifo:
        assert ran == sorted(ran)
    seen = fits_the_clients_schemas(record)
    assert {"SendMessageBatch", "StartMessageMoveTask", "ListMessageMoveTasks"} <= seen


def test_redrive_without_a_dead_letter_queue_says_so(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys")))
    daemon.wait_ready()
    done = daemon.ctl("redrive", "deploys", check=False)
    assert done.returncode != 0
    assert "no dead-letter queue" in done.stderr


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_what_is_looked_at_runs_once_and_in_order_all_the_same(tmp_path, awssim, gantry, fifo):
    count = 8
    sim = awssim("--queue", "deploys.fifo:ContentBasedDeduplication=true" if fifo else "deploys",
                 "--task-start-ms", "5", "--task-run-ms", "20")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys.fifo" if fifo else "deploys"), workers=1))
    daemon.wait_ready()
    daemon.stop()
    send_jobs(daemon, [{"id": f"job-{i}", "project": "p"} for i in range(count)], "deploys",
              *(["--group", "g"] if fifo else []))
    for look in (1, 2):
        shown = json.loads(daemon.ctl("--json", "peek", "deploys", "--count", "100").stdout)
        assert sorted(json.loads(message["body"])["id"] for message in shown) == [f"job-{i}" for i in range(count)]
        assert [message["deliveries"] for message in shown] == [look] * count
        assert {message["group"] for message in shown} == ({"g"} if fifo else {None})
        [told] = json.loads(daemon.ctl("--json", "queues").stdout)
        assert (told["waiting"], told["in_flight"]) == (count, 0)
    again = gantry(daemon.configuration.read_text())
    again.wait_ready()
    wait_until("all are settled", lambda: account(sim)["messages"]["deleted"] == count, 60)
    told = account(sim)
    assert (told["environment"]["distinct"], told["tasks"]["created"]) == (count, count)
    if fifo:
        tasks = sorted(sim.get("/_account/tasks?limit=100")["tasks"], key=lambda task: task["created_ms"])
        assert [task["environment"]["GANTRY_JOB"] for task in tasks] == [f"job-{i}" for i in range(count)]


def test_look_that_fails_half_way_shows_what_it_saw_and_moves_no_cursor(tmp_path, awssim, gantry):
    sim = awssim("--queue", "deploys")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), workers=1))
    daemon.wait_ready()
    daemon.stop()
    # U+009B begins a control sequence, as ESC [ does, which SQS would not take.
    lines = "".join(f"a\u009b2J\u007fb {i}\n" for i in range(20))
    subprocess.run([BUILDDIR / "gantryctl", "-c", daemon.configuration, "send", "deploys", "-"], input=lines, text=True,
                   check=True, capture_output=True, timeout=120, env=daemon.environment)
    for words in ([], ["--json"]):
        sim.fault(action="ReceiveMessage", kind="http_500", skip=1, count=2)
        done = daemon.ctl(*words, "peek", "deploys", "--count", "100", check=False)
        assert done.returncode == 1 and "gantryctl: queue deploys: " in done.stderr, done.stderr
        if words:
            bodies = [message["body"] for message in json.loads(done.stdout)]
            assert all(body.startswith("a\u009b2J\u007fb ") for body in bodies)
        else:
            bodies = done.stdout.splitlines()
            assert "\u009b" not in done.stdout and "\u007f" not in done.stdout and "a\\x9b2J\\x7fb" in done.stdout
        assert 0 < len(bodies) < 20


def test_operators_may_do_what_gantryctl_does_and_no_more():
    policy = json.loads((SRCDIR / "contrib/iam/gantry-operator-policy.json").read_text())
    granted = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and "*" not in statement["Resource"]
        granted[statement["Sid"]] = set(statement["Action"])
    called = {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:SendMessage",
              "sqs:GetQueueAttributes"}
    assert granted["SendPeekAndMeasure"] == called
    # SQS moves messages with the caller's rights: it receives and deletes there.
    assert granted["Redrive"] == {f"sqs:{action}" for action in (
        "StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask", "ReceiveMessage", "DeleteMessage",
        "GetQueueAttributes")}
