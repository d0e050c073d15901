# SPDX-License-Identifier: Apache-2.0
"""awssim's CloudWatch Logs answer as the service does: streams of tasks, pages, tokens, limits."""

import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
STREAM = {"logGroupName": "/g", "logStreamName": "s"}


@pytest.fixture(scope="module")
def aws():
    with Awssim("--task-start-ms", "10", "--task-run-ms", "20") as sim:
        yield sim


@pytest.fixture
def logs(aws):
    """botocore's client, with a stream of its own that is empty."""
    aws.admin("POST", "/_reset")
    aws.no_faults()
    client = aws.client("logs")
    client.create_log_stream(**STREAM)
    return client


def put(logs, *lines):
    logs.put_log_events(**STREAM, logEvents=[{"timestamp": int(time.time() * 1000), "message": line} for line in lines])


def lines_of(page):
    return [event["message"] for event in page["events"]]


def test_forward_pages_give_each_line_once_and_the_same_token_at_the_end(logs):
    put(logs, *[f"line {i}" for i in range(25)])
    seen, token = [], None
    while True:
        page = logs.get_log_events(**STREAM, startFromHead=True, limit=10, **({"nextToken": token} if token else {}))
        seen += lines_of(page)
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert seen == [f"line {i}" for i in range(25)]
    put(logs, "later")
    assert lines_of(logs.get_log_events(**STREAM, startFromHead=True, nextToken=token)) == ["later"]


def test_tail_is_the_newest_lines_oldest_first(logs):
    put(logs, "one", "two", "three")
    page = logs.get_log_events(**STREAM, limit=2)
    assert lines_of(page) == ["two", "three"]
    assert lines_of(logs.get_log_events(**STREAM, nextToken=page["nextBackwardToken"])) == ["one"]


def test_page_has_a_mebibyte_at_most(logs):
    for _ in range(5):
        put(logs, *["x" * 200_000] * 2)
    page = logs.get_log_events(**STREAM, startFromHead=True)
    assert len(page["events"]) == 5


def test_empty_page_before_the_end_has_another_token(aws, logs):
    put(logs, "one")
    token = logs.get_log_events(**STREAM, startFromHead=True)["nextForwardToken"]
    put(logs, "two")
    aws.fault(action="GetLogEvents", kind="empty", count=1)
    page = logs.get_log_events(**STREAM, startFromHead=True, nextToken=token)
    assert page["events"] == [] and page["nextForwardToken"] != token
    assert lines_of(logs.get_log_events(**STREAM, startFromHead=True, nextToken=page["nextForwardToken"])) == ["two"]


@pytest.mark.parametrize("members, code", [
    ({"logStreamName": "other"}, "ResourceNotFoundException"),
    ({"logGroupName": "/other"}, "ResourceNotFoundException"),
    ({"nextToken": "rubbish"}, "InvalidParameterException"),
    ({"limit": 10001}, "InvalidParameterException"),
])
def test_what_is_wrong_is_refused(aws, logs, members, code):
    with pytest.raises(AwsError) as caught:
        aws.logs("GetLogEvents", **{**STREAM, **members})
    assert (caught.value.status, caught.value.code) == (400, code)


def test_task_writes_where_its_definition_says(aws):
    aws.ecs("RegisterTaskDefinition", family="writer", containerDefinitions=[
        {"name": "app", "image": "x", "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": "/mine", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}}}])
    [task] = aws.ecs("RunTask", cluster="prod", taskDefinition="writer", launchType="FARGATE",
                     networkConfiguration=NETWORK, overrides={"containerOverrides": [{"name": "app", "environment": [
                         {"name": "SIM_LOG", "value": "begun\nworking"}, {"name": "SIM_LOG_LINES", "value": "2"},
                         {"name": "SIM_LOG_END", "value": "over"}]}]})["tasks"]
    stream = "p/app/" + task["taskArn"].split("/")[-1]
    deadline = time.monotonic() + 60
    while True:
        try:
            seen = lines_of(aws.logs("GetLogEvents", logGroupName="/mine", logStreamName=stream, startFromHead=True))
        except AwsError as error:
            assert error.code == "ResourceNotFoundException"
            seen = []
        if "over" in seen:
            break
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
    assert seen == ["begun", "working", "line 0", "line 1", "over"]
