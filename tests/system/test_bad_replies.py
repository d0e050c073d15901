# SPDX-License-Identifier: Apache-2.0
"""Whatever AWS answers, no worker crashes, nothing is launched twice and the job ends."""

import json

import pytest

from harness import main_job, send_jobs, wait_until

MANY = 3

# action, fault, and whether the job must end as failed (a permanent refusal) instead of succeeded
FAULTS = [
    ("RunTask", {"kind": "lost_answer"}, None),
    ("RunTask", {"kind": "drop_before"}, None),
    ("RunTask", {"kind": "http_500"}, None),
    ("RunTask", {"kind": "throttle"}, None),
    ("RunTask", {"kind": "hidden_throttle"}, None),
    ("RunTask", {"kind": "failures"}, None),
    ("RunTask", {"kind": "html"}, None),
    ("RunTask", {"kind": "truncate"}, None),
    ("RunTask", {"kind": "cut"}, None),
    ("RunTask", {"kind": "garbage"}, None),
    ("RunTask", {"kind": "wrong_types"}, None),
    ("RunTask", {"kind": "error", "status": 400, "code": "ClusterNotFoundException", "message": "Cluster not found."},
     "launch_failed"),
    ("RunTask", {"kind": "error", "status": 400, "code": "AccessDeniedException", "message": "no"}, "launch_failed"),
    ("DescribeTasks", {"kind": "missing"}, None),
    ("DescribeTasks", {"kind": "html"}, None),
    ("DescribeTasks", {"kind": "truncate"}, None),
    ("DescribeTasks", {"kind": "wrong_types"}, None),
    ("DescribeTasks", {"kind": "huge", "bytes": 25 << 20}, None),
    ("ReceiveMessage", {"kind": "lost_answer"}, None),
    ("ReceiveMessage", {"kind": "huge", "bytes": 25 << 20}, None),
    ("ReceiveMessage", {"kind": "wrong_types"}, None),
    ("ReceiveMessage", {"kind": "garbage"}, None),
    ("ReceiveMessage", {"kind": "drip", "bytes": 64, "ms": 20}, None),
    ("ReceiveMessage", {"kind": "error", "status": 403, "code": "OverLimit", "message": "too many"}, None),
    ("DeleteMessageBatch", {"kind": "entry_error"}, None),
    ("DeleteMessageBatch", {"kind": "html"}, None),
    ("DeleteMessageBatch", {"kind": "lost_answer"}, None),
    ("DeleteMessageBatch", {"kind": "wrong_types"}, None),
]


@pytest.mark.parametrize("action, fault, reason", FAULTS, ids=[
    f"{a}-{f['kind']}{'-' + f['code'] if 'code' in f else ''}" for a, f, _ in FAULTS])
def test_job_ends_once_whatever_is_answered(tmp_path, awssim, gantry, action, fault, reason):
    sim = awssim("--queue", "deploys:VisibilityTimeout=10", "--task-start-ms", "20", "--task-run-ms", "100")
    daemon = gantry(main_job(tmp_path, sim.url, sim.queue_url("deploys"), visibility_timeout="10s", workers=1))
    daemon.wait_ready()
    sim.fault(action=action, count=1 if reason else MANY, **fault)
    send_jobs(daemon, [{"id": "job", "project": "p"}])
    wait_until("the job ends and its message is deleted", lambda: sim.get("/_account")["messages"]["deleted"] >= 1, 90,
               pause=0.1)
    shown = json.loads(daemon.ctl("--json", "show", "job").stdout)
    assert shown["state"] == ("failed" if reason else "succeeded"), shown
    assert shown["reason"] in ((reason,) if reason else (None, "")), shown
    told = sim.get("/_account?env=GANTRY_JOB")
    assert told["tasks"]["created"] == (0 if reason else 1)
    assert told["environment"]["doubled"] == []
    assert "killed by signal" not in daemon.text() and "AddressSanitizer" not in daemon.text()
