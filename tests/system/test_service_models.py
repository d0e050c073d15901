# SPDX-License-Identifier: Apache-2.0
"""Every request that gantry sends fits the service's own model: ECS by Debian's botocore, SQS by the
schemas of AWS's JavaScript client."""

import json
import subprocess

import botocore.loaders
import botocore.model
import botocore.validate
import pytest

from harness import BUILDDIR, SRCDIR, main_job, send_jobs, wait_until

# Members that came after Debian's botocore 1.29.
NEWER_THAN_BOTOCORE = {"clientToken"}


@pytest.fixture
def recorded(tmp_path, awssim, gantry):
    """All requests of a main job with everything in it: a timeout, a failure, FIFO, sending and receiving by hand."""
    record = tmp_path / "requests"
    sim = awssim("--queue", "deploys", "--queue", "hand.fifo:FifoQueue=true,ContentBasedDeduplication=true",
                 "--task-run-ms", "200", "--record", record)
    hand = f"  hand: {{ type: sqs, url: \"{sim.queue_url('hand.fifo')}\", wait_time: 1s, default_deployer: mystical }}"
    daemon = gantry(main_job(
        tmp_path, sim.url, sim.queue_url("deploys"), extra="", visibility_timeout="10s",
        queue_extra=hand, deployer_extra="\n".join([
            "    tags: { team: web }", "    timeout: 8s", '    cpu: "256"', '    memory: "512"',
            '    allow: { environment: ["SIM_*"], command: true }'])))
    daemon.wait_ready()
    send_jobs(daemon, [{"id": "a", "project": "a", "command": ["run", "a"]},
                       {"id": "b", "project": "b", "environment": {"SIM_EXIT_CODE": "1"}},
                       {"id": "c", "project": "c", "environment": {"SIM_RUN_MS": "60000"}}])
    wait_until("all jobs end", lambda: sum(
        j["state"] in ("succeeded", "failed") for j in json.loads(daemon.ctl("--json", "jobs").stdout)) == 3, 60)
    wait_until("their messages are deleted", lambda: sim.get("/_account")["messages"]["deleted"] >= 3)
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_ecs_requests_fit_botocores_model(recorded):
    model = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("ecs", "service-2"))
    validator = botocore.validate.ParamValidator()
    seen = set()
    for request in (r for r in recorded if r["service"] == "ecs"):
        seen.add(request["action"])
        body = {k: v for k, v in request["body"].items() if k not in NEWER_THAN_BOTOCORE}
        shape = model.operation_model(request["action"]).input_shape
        assert set(body) <= set(shape.members), request["action"]
        report = validator.validate(body, shape)
        assert not report.has_errors(), f"{request['action']}: {report.generate_report()}"
    assert {"RunTask", "DescribeTasks", "StopTask"} <= seen


def test_sqs_requests_fit_the_clients_schemas(recorded):
    lines = [json.dumps({"action": r["action"], "body": r["body"]}) for r in recorded if r["service"] == "sqs"]
    seen = {json.loads(line)["action"] for line in lines}
    modules = BUILDDIR / "peers/node_modules"
    done = subprocess.run([modules / ".bin/node", SRCDIR / "tests/system/peers/validate_sqs.mjs", modules],
                          input="\n".join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith(f"{len(lines)} requests, 0 violations")
    assert {"ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes", "ChangeMessageVisibilityBatch"} <= seen
