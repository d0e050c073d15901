# SPDX-License-Identifier: Apache-2.0
"""The main job against an SQS that is not ours: fauxqs, with awssim for ECS alone."""

import json
import re
import urllib.request

import pytest

from harness import BUILDDIR, Program, clean_environment, main_job, send_jobs, wait_until


class Fauxqs(Program):
    def __init__(self, directory):
        modules = BUILDDIR / "peers/node_modules"
        super().__init__([modules / ".bin/node", modules / "fauxqs/dist/cli.js"], directory, "fauxqs",
                         env=clean_environment(FAUXQS_PORT="0", FAUXQS_HOST="127.0.0.1"))
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.wait_for(r"listening at http://127\.0\.0\.1:\d+").group(0)).group(0)

    def call(self, action, body):
        request = urllib.request.Request(self.url + "/", data=json.dumps(body).encode(), headers={
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDSIM/20260101/us-east-1/sqs/aws4_request"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"{}")

    def create_queue(self, name, **attributes):
        return self.call("CreateQueue", {"QueueName": name, "Attributes": attributes})["QueueUrl"]

    def left(self, url):
        told = self.call("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
        return int(told["ApproximateNumberOfMessages"]) + int(told["ApproximateNumberOfMessagesNotVisible"])


@pytest.fixture
def fauxqs(tmp_path, started):
    program = Fauxqs(tmp_path)
    started.append(program)
    return program


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_messages_of_another_sqs_become_tasks(tmp_path, fauxqs, awssim, gantry, fifo):
    sim = awssim("--task-start-ms", "5", "--task-run-ms", "50")
    url = fauxqs.create_queue("deploys.fifo", FifoQueue="true") if fifo else fauxqs.create_queue("deploys")
    # fauxqs may name itself by another host in its URLs; the origin that we reach is what counts.
    url = fauxqs.url + "/" + url.split("/", 3)[3]
    # Of a FIFO group it hands out one message at a time, so that each takes a second.
    count = 15 if fifo else 60
    daemon = gantry(main_job(tmp_path, sim.url, url).replace(
        f'endpoint_url: "{sim.url}"', f'ecs_endpoint_url: "{sim.url}", sqs_endpoint_url: "{fauxqs.url}"'))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": f"job-{i}", "project": f"p{i % 7}"} for i in range(count)], "deploys",
              *(["--group", "g"] if fifo else []))
    wait_until("the queue is empty", lambda: fauxqs.left(url) == 0, 90)
    told = sim.get("/_account?env=GANTRY_JOB")
    assert told["environment"]["distinct"] == count
    assert told["environment"]["doubled"] == []


def test_hand_sent_messages_arrive_in_order_and_are_deleted(tmp_path, fauxqs, awssim, gantry):
    sim = awssim()
    url = fauxqs.url + "/" + fauxqs.create_queue("hand.fifo", FifoQueue="true").split("/", 3)[3]
    other = fauxqs.url + "/" + fauxqs.create_queue("deploys").split("/", 3)[3]
    text = main_job(tmp_path, sim.url, other).replace(
        f'endpoint_url: "{sim.url}"', f'ecs_endpoint_url: "{sim.url}", sqs_endpoint_url: "{fauxqs.url}"')
    daemon = gantry(text)
    daemon.wait_ready()
    hand = tmp_path / "hand.yaml"
    hand.write_text(text.replace(other, url))
    daemon.configuration = hand
    daemon.ctl("send", "deploys", "--count", 35, "--client-name", "alice", "--group", "g1")
    shown = daemon.ctl("--json", "receive", "deploys", "--count", 35).stdout.splitlines()
    assert [json.loads(line)["body"] for line in shown] == [f"alice message {i}" for i in range(1, 36)]
    wait_until("all deleted", lambda: fauxqs.left(url) == 0)


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_a_look_leaves_the_queue_as_it_was(tmp_path, fauxqs, awssim, gantry, fifo):
    sim = awssim()
    busy = fauxqs.url + "/" + fauxqs.create_queue("deploys").split("/", 3)[3]
    dead = fauxqs.create_queue("dead.fifo" if fifo else "dead", **({"FifoQueue": "true"} if fifo else {}))
    arn = fauxqs.call("GetQueueAttributes", {"QueueUrl": dead, "AttributeNames": ["All"]})["Attributes"]["QueueArn"]
    url = fauxqs.url + "/" + fauxqs.create_queue(
        "hand.fifo" if fifo else "hand", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 9}),
        **({"FifoQueue": "true"} if fifo else {})).split("/", 3)[3]
    text = main_job(tmp_path, sim.url, busy).replace(
        f'endpoint_url: "{sim.url}"', f'ecs_endpoint_url: "{sim.url}", sqs_endpoint_url: "{fauxqs.url}"')
    daemon = gantry(text)
    daemon.wait_ready()
    daemon.configuration = tmp_path / "hand.yaml"
    daemon.configuration.write_text(text.replace(busy, url))
    daemon.ctl("send", "deploys", "--count", 10, "--client-name", "alice", *(["--group", "g1"] if fifo else []))
    # Of a FIFO group it hands out one message at a time.
    visible = sorted(f"alice message {i}" for i in range(1, 2 if fifo else 11))
    for look in (1, 2):
        shown = json.loads(daemon.ctl("--json", "peek", "deploys", "--count", 50).stdout)
        assert sorted(message["body"] for message in shown) == visible
        assert {message["deliveries"] for message in shown} == {look}
        [told] = json.loads(daemon.ctl("--json", "queues").stdout)
        assert (told["waiting"], told["in_flight"], told["max_receives"]) == (10, 0, 9)
        assert told["dead_letter"] == arn
    # It knows no message move tasks, and a redrive says so instead of waiting.
    refused = daemon.ctl("redrive", "deploys", check=False)
    assert refused.returncode != 0 and "ListMessageMoveTasks" in refused.stderr
