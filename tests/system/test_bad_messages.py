# SPDX-License-Identifier: Apache-2.0
"""A message that cannot be understood, or asks for what it may not have, is recorded, published as
an error and settled; nothing disappears silently."""

import json
import sqlite3
import subprocess

import harness
from harness import main_job, wait_until

P = '"project": "p"'

# body, kind of error, and a part of its text
BAD = [
    ("hello", "malformed", "body: expected a JSON object"),
    (" ", "malformed", "body: expected a JSON object"),
    ("{", "malformed", "body: expected a JSON object"),
    ("[]", "malformed", "body: expected a JSON object, found an array"),
    ('"text"', "malformed", "body: expected a JSON object"),
    ("42", "malformed", "body: expected a JSON object"),
    ("null", "malformed", "body: expected a JSON object"),
    ("<xml/>", "malformed", "body: expected a JSON object"),
    ('{%s, "a": 1, "a": 2}' % P, "malformed", "body: expected a JSON object"),
    ('{%s} trailing' % P, "malformed", "body: expected a JSON object"),
    ("{}", "malformed", "project: expected"),
    ('{"project": ""}', "malformed", "project: expected"),
    ('{"project": 7}', "malformed", "project: expected"),
    ('{"project": null}', "malformed", "project: expected"),
    ('{"project": ["p"]}', "malformed", "project: expected"),
    ('{"project": "%s"}' % ("x" * 257), "malformed", "project: expected"),
    ('{"project": "a\\u0000b"}', "malformed", "expected"),
    ('{"project": "a\\nb"}', "malformed", "project: expected"),
    ('{%s, "id": ""}' % P, "malformed", "id: expected"),
    ('{%s, "id": 1}' % P, "malformed", "id: expected"),
    ('{%s, "id": "with space"}' % P, "malformed", "id: expected"),
    ('{%s, "id": "%s"}' % (P, "i" * 129), "malformed", "id: expected"),
    ('{%s, "deployer": "nobody"}' % P, "malformed", "deployer: expected"),
    ('{%s, "deployer": {}}' % P, "malformed", "deployer: expected"),
    ('{%s, "environment": []}' % P, "malformed", "environment: expected"),
    ('{%s, "environment": {"A": 1}}' % P, "malformed", "environment"),
    ('{%s, "environment": {"": "x"}}' % P, "malformed", "environment"),
    ('{%s, "command": "sh"}' % P, "malformed", "command: expected"),
    ('{%s, "command": []}' % P, "malformed", "command: expected"),
    ('{%s, "command": [1]}' % P, "malformed", "command"),
    ('{%s, "priority": 10}' % P, "malformed", "priority: expected"),
    ('{%s, "priority": "high"}' % P, "malformed", "priority: expected"),
    ('{%s, "delay": "soon"}' % P, "malformed", "delay: expected"),
    ('{%s, "delay": -1}' % P, "malformed", "delay: expected"),
    ('{%s, "ref": 3}' % P, "malformed", "ref: expected"),
    ('{%s, "notify": "ops@example.com"}' % P, "malformed", "notify: expected"),
    ('{%s, "environment": {"LD_PRELOAD": "x.so"}}' % P, "launch_failed", "environment"),
    ('{%s, "command": ["rm", "-rf", "/"]}' % P, "launch_failed", "command"),
    ('{%s, "environment": {"BUILD_X": "%s"}}' % (P, "y" * 9000), "launch_failed", "8192"),
]


def recorded(tmp_path):
    with sqlite3.connect(f"file:{tmp_path}/gantry.db?mode=ro", uri=True) as store:
        return store.execute("select json_extract(payload, '$.kind'), json_extract(payload, '$.error'),"
                             " json_extract(payload, '$.body'), not open from outbox where event = 'error'").fetchall()


def test_each_bad_message_is_recorded_published_and_settled(tmp_path, awssim, redis_server, gantry):
    assert len(BAD) >= 30
    sim = awssim("--no-auth", "--queue", "deploys")
    daemon = gantry(main_job(
        tmp_path, sim.url, sim.queue_url("deploys"), deployer_extra='    allow: { environment: ["BUILD_*"] }',
        extra=f'errors: [ {{ type: redis, url: "{redis_server.url}", channel: "gantry:errors", list: "gantry:errors" }} ]'))
    daemon.wait_ready()
    for body, _, _ in BAD:
        sim.call("SendMessage", {"QueueUrl": sim.queue_url("deploys"), "MessageBody": body})
    wait_until("all are settled", lambda: sim.get("/_account")["messages"]["deleted"] == len(BAD), 60)
    wait_until("all are published", lambda: sum(f[3] for f in recorded(tmp_path)) == len(BAD), 30)
    faults = recorded(tmp_path)
    pushed = [json.loads(line) for line in redis_server.cli("lrange", "gantry:errors", "0", "-1").splitlines()]
    assert len(pushed) == len(BAD)
    for body, kind, text in BAD:
        if kind == "malformed":
            mine = [f for f in faults if f[2] == body]
            told = [p for p in pushed if p.get("body") == body]
        else:
            mine = [f for f in faults if f[0] == kind and text in f[1]]
            told = [p for p in pushed if p["kind"] == kind and text in p["error"]]
        assert len(mine) >= 1 and mine[0][0] == kind and text in mine[0][1], (body[:80], mine)
        assert len(told) >= 1 and told[0]["queue"] == "deploys" and text in told[0]["error"], (body[:80], told)
    assert sim.get("/_account")["tasks"]["created"] == 0


def test_redis_that_is_down_delays_nothing_and_loses_nothing(tmp_path, awssim, redis_server, gantry):
    sim = awssim("--no-auth", "--queue", "deploys", "--task-run-ms", "50")
    daemon = gantry(main_job(
        tmp_path, sim.url, sim.queue_url("deploys"),
        extra=f'errors: [ {{ type: redis, url: "{redis_server.url}", list: "gantry:errors" }} ]'))
    daemon.wait_ready()
    redis_server.stop()
    for body in ("bad", '{"project": "p"}'):
        sim.call("SendMessage", {"QueueUrl": sim.queue_url("deploys"), "MessageBody": body})
    wait_until("both are settled", lambda: sim.get("/_account")["messages"]["deleted"] == 2, 30)
    assert [f[0] for f in recorded(tmp_path)] == ["malformed"]
    again = harness.RedisServer(tmp_path, redis_server.port)
    try:
        wait_until("the error arrives", lambda: again.cli("llen", "gantry:errors").strip() == "1", 60)
    finally:
        again.stop()


def test_dead_letter_policy_takes_only_the_bad_message_of_a_group(tmp_path, awssim, gantry):
    sim = awssim("--no-auth", "--queue", "dead.fifo:FifoQueue=true")
    arn = sim.call("GetQueueAttributes", {"QueueUrl": sim.queue_url("dead.fifo"), "AttributeNames": ["All"]})
    sim.call("CreateQueue", {"QueueName": "deploys.fifo", "Attributes": {
        "FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "10", "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": 2})}})
    for body in ('{"project": "p", "id": "first"}', "bad", '{"project": "p", "id": "last"}'):
        sim.call("SendMessage", {"QueueUrl": sim.queue_url("deploys.fifo"), "MessageBody": body, "MessageGroupId": "g"})
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys.fifo"), visibility_timeout="10s",
                             queue_extra="    malformed: dead_letter"))
    daemon.wait_ready()
    wait_until("the others of its group succeed", lambda: sum(
        j["state"] == "succeeded" for j in json.loads(daemon.ctl("--json", "jobs").stdout)) == 2, 60)
    wait_until("the bad one is a dead letter", lambda: sim.get("/_account")["messages"]["dead_lettered"] == 1, 30)
    assert sim.get("/_account")["messages"]["deleted"] == 2
    assert [f[2] for f in recorded(tmp_path)] == ["bad"]


def test_sns_envelopes_are_unwrapped(tmp_path, awssim, gantry):
    sim = awssim("--no-auth", "--queue", "deploys")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), queue_extra="    unwrap: sns"))
    daemon.wait_ready()
    envelope = {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
                "Message": json.dumps({"project": "p", "id": "inner"})}
    for body in (json.dumps(envelope), json.dumps({"project": "p", "id": "bare"})):
        sim.call("SendMessage", {"QueueUrl": sim.queue_url("deploys"), "MessageBody": body})
    wait_until("both are settled", lambda: sim.get("/_account")["messages"]["deleted"] == 2, 30)
    assert json.loads(daemon.ctl("--json", "show", "inner").stdout)["state"] == "succeeded"
    assert "SNS envelope" in recorded(tmp_path)[0][1]


def test_check_of_a_broken_file_names_line_and_key(tmp_path):
    (tmp_path / "gantry.yaml").write_text("queues: { a: { type: sqs, ulr: x } }\ndeployers: {}\n")
    done = subprocess.run([harness.BUILDDIR / "gantryd", "-t", "-c", tmp_path / "gantry.yaml"], capture_output=True,
                          text=True, timeout=20, env=harness.clean_environment())
    assert done.returncode == 1
    assert 'gantry.yaml:1:' in done.stderr and 'did you mean "url"?' in done.stderr
