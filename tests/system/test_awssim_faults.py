# SPDX-License-Identifier: Apache-2.0
"""awssim goes wrong exactly as it is told: the right call, the right number of times, with or
without the effect."""

import http.client
import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402

LOST = (OSError, http.client.HTTPException)


@pytest.fixture
def aws():
    with Awssim("--queue", "jobs") as sim:
        yield sim


def send(aws, body="x"):
    return aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody=body)


def receive(aws):
    return aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url("jobs"), MaxNumberOfMessages=10).get("Messages", [])


def raw_send(aws):
    """(status, headers, body) of a SendMessage."""
    body = json.dumps({"QueueUrl": aws.queue_url("jobs"), "MessageBody": "x"}).encode()
    return aws.request("POST", "/", aws.signed_headers("sqs", "SendMessage", body), body)


def sent(aws):
    return aws.summary()["messages"]["sent"]


def refused(call, *arguments, **members):
    with pytest.raises(AwsError) as caught:
        call(*arguments, **members)
    return caught.value


@pytest.mark.parametrize("kind, effect", [("lost_answer", 1), ("drop_before", 0)])
def test_lost_calls_differ_in_their_effect(aws, kind, effect):
    aws.fault(action="SendMessage", kind=kind)
    with pytest.raises(LOST):
        send(aws)
    assert sent(aws) == effect
    assert aws.stats()["calls"]["SendMessage"] == {kind: 1}
    send(aws)


@pytest.mark.parametrize("service, action, rule, status, code", [
    ("sqs", "ListQueues", {"kind": "throttle"}, 403, "RequestThrottled"),
    ("ecs", "ListTasks", {"kind": "throttle"}, 400, "ThrottlingException"),
    ("sqs", "ListQueues", {"kind": "http_500"}, 500, "InternalError"),
    ("ecs", "ListTasks", {"kind": "http_500", "status": 503}, 503, "ServerException"),
    ("ecs", "ListTasks", {"kind": "hidden_throttle"}, 400, "InvalidParameterException"),
    ("sqs", "ListQueues", {"kind": "error", "code": "OverLimit", "message": "m"}, 403, "OverLimit"),
    ("ecs", "ListTasks", {"kind": "error", "code": "BlockedException", "status": 400}, 400, "BlockedException"),
])
def test_error_answers_have_the_services_form(aws, service, action, rule, status, code):
    aws.fault(action=action, **rule)
    error = refused(aws.call, service, action, {})
    assert (error.status, error.code) == (status, code)
    if rule["kind"] == "hidden_throttle":
        assert "RequestLimitExceeded" in error.message
    aws.call(service, action, {})


def test_error_may_come_after_the_effect(aws):
    aws.fault(action="SendMessage", kind="http_500", effect=True)
    assert refused(send, aws).status == 500
    assert sent(aws) == 1


def test_count_skip_and_match_choose_the_call(aws):
    aws.fault(action="SendMessage", kind="throttle", count=2, skip=1, match="unlucky")
    ends = []
    for body in ("lucky", "unlucky", "unlucky", "lucky", "unlucky", "unlucky"):
        try:
            send(aws, body)
            ends.append("ok")
        except AwsError as error:
            ends.append(error.code)
    assert ends == ["ok", "ok", "RequestThrottled", "ok", "RequestThrottled", "ok"]
    assert aws.admin("GET", "/_admin/fault") == {"faults": []}


def test_probability_is_kept_and_repeats_with_the_seed():
    def run():
        with Awssim("--queue", "jobs", "--seed", "42") as aws:
            aws.fault(action="SendMessage", kind="throttle", probability=0.3)
            ends = ""
            for _ in range(200):
                try:
                    send(aws)
                    ends += "."
                except AwsError:
                    ends += "x"
            aws.no_faults()
            send(aws)
            return ends
    first = run()
    assert 35 <= first.count("x") <= 85
    assert run() == first


def test_star_concerns_every_action(aws):
    aws.fault(action="*", kind="throttle", count=2)
    assert refused(send, aws).code == "RequestThrottled"
    assert refused(aws.ecs, "ListTasks").code == "ThrottlingException"


def test_html_is_a_proxys_page(aws):
    aws.fault(action="SendMessage", kind="html", status=502)
    status, headers, body = raw_send(aws)
    assert (status, headers["Content-Type"]) == (502, "text/html")
    assert body.startswith(b"<html>") and sent(aws) == 0


def test_truncated_answer_breaks_off(aws):
    aws.fault(action="SendMessage", kind="truncate")
    with pytest.raises(http.client.IncompleteRead):
        raw_send(aws)
    assert sent(aws) == 1


def test_cut_answer_is_whole_for_http_and_no_json(aws):
    aws.fault(action="SendMessage", kind="cut")
    status, _, body = raw_send(aws)
    assert status == 200
    with pytest.raises(ValueError):
        json.loads(body)


def test_garbage_is_no_json(aws):
    aws.fault(action="SendMessage", kind="garbage")
    status, _, body = raw_send(aws)
    assert status == 200
    with pytest.raises(ValueError):
        json.loads(body)


def test_wrong_types_keep_the_names(aws):
    send(aws)
    aws.fault(action="ReceiveMessage", kind="wrong_types")
    answer = aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url("jobs"))
    assert isinstance(answer["Messages"], dict)
    assert answer["Messages"]["0"]["MessageId"] == 42
    aws.fault(action="DescribeTasks", kind="wrong_types")
    answer = aws.ecs("DescribeTasks", cluster="c", tasks=["x"])
    assert answer == {"tasks": {}, "failures": {"0": {"arn": 42, "reason": 42}}}


def test_huge_answer_is_as_long_as_asked_and_still_json(aws):
    aws.fault(action="SendMessage", kind="huge", bytes=30_000_000)
    _, _, body = raw_send(aws)
    assert len(body) > 30_000_000 and "MessageId" in json.loads(body)


def test_drip_takes_its_time(aws):
    aws.fault(action="SendMessage", kind="drip", bytes=100, ms=20)
    started = time.monotonic()
    status, _, body = raw_send(aws)
    assert status == 200 and "MessageId" in json.loads(body)
    assert time.monotonic() - started > 0.04


@pytest.mark.parametrize("effect", [True, False])
def test_delay_is_before_or_after_the_effect(aws, effect):
    aws.fault(action="SendMessage", kind="delay", ms=300, effect=effect)
    body = json.dumps({"QueueUrl": aws.queue_url("jobs"), "MessageBody": "x"}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    started = time.monotonic()
    connection.request("POST", "/", body, aws.signed_headers("sqs", "SendMessage", body))
    # The next request on another connection is handled after this one was read.
    while aws.admin("GET", "/_admin/fault")["faults"]:
        pass
    assert sent(aws) == (1 if effect else 0) or time.monotonic() - started > 0.3
    assert connection.getresponse().status == 200
    assert time.monotonic() - started > 0.25 and sent(aws) == 1
    connection.close()


def test_stalled_call_has_its_effect_and_no_end(aws):
    aws.fault(action="SendMessage", kind="stall")
    body = json.dumps({"QueueUrl": aws.queue_url("jobs"), "MessageBody": "x"}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=0.3)
    connection.request("POST", "/", body, aws.signed_headers("sqs", "SendMessage", body))
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert sent(aws) == 1


def test_empty_receive_leaves_the_message(aws):
    send(aws)
    aws.fault(action="ReceiveMessage", kind="empty")
    assert receive(aws) == []
    assert len(receive(aws)) == 1


def test_entry_error_fails_one_entry_and_not_its_neighbours(aws):
    aws.fault(action="SendMessageBatch", kind="entry_error", skip=1, code="InternalError", message="sorry")
    answer = aws.sqs("SendMessageBatch", QueueUrl=aws.queue_url("jobs"),
                     Entries=[{"Id": str(i), "MessageBody": "x"} for i in range(3)])
    assert [e["Id"] for e in answer["Successful"]] == ["0", "2"]
    assert answer["Failed"] == [{"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "sorry"}]
    assert sent(aws) == 2


def test_missing_tasks_are_there_at_the_next_look(aws):
    [task] = aws.ecs("RunTask", cluster="c", taskDefinition="t")["tasks"]
    aws.fault(action="DescribeTasks", kind="missing")
    ask = {"cluster": "c", "tasks": [task["taskArn"]]}
    assert aws.ecs("DescribeTasks", **ask)["failures"] == [{"arn": task["taskArn"], "reason": "MISSING"}]
    assert len(aws.ecs("DescribeTasks", **ask)["tasks"]) == 1


def test_unknown_fault_is_an_error(aws):
    with pytest.raises(RuntimeError, match="unknown kind nonsense"):
        aws.fault(action="RunTask", kind="nonsense")
