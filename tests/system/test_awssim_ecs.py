# SPDX-License-Identifier: Apache-2.0
"""awssim's ECS keeps ECS's promises: states, tokens and their life, failures, events, processes."""

import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"],
                                   "assignPublicIp": "DISABLED"}}


@pytest.fixture
def aws():
    with Awssim("--queue", "events", "--task-start-ms", "10", "--task-run-ms", "20") as sim:
        yield sim


def launch_request(*environment, **more):
    return {"cluster": "prod", "taskDefinition": "job:7", "launchType": "FARGATE",
            "networkConfiguration": NETWORK, "startedBy": "gantry/h1",
            "overrides": {"containerOverrides": [{"name": "app", "environment": [
                {"name": name, "value": value} for name, value in environment]}]}, **more}


def launch(aws, *environment, **more):
    """The one task that RunTask started."""
    answer = aws.ecs("RunTask", **launch_request(*environment, **more))
    assert answer["failures"] == []
    [task] = answer["tasks"]
    return task


def describe(aws, arn, cluster="prod"):
    [task] = aws.ecs("DescribeTasks", cluster=cluster, tasks=[arn])["tasks"]
    return task


def wait_for(aws, arn, status, cluster="prod"):
    deadline = time.monotonic() + 20
    while True:
        task = describe(aws, arn, cluster)
        if task["lastStatus"] == status:
            return task
        assert time.monotonic() < deadline, task


def refused(call, *arguments, **members):
    with pytest.raises(AwsError) as caught:
        call(*arguments, **members)
    return caught.value


def test_task_goes_through_its_states_and_ends_with_an_exit_code(aws):
    task = launch(aws, ("A", "1"), tags=[{"key": "k", "value": "v"}])
    assert (task["lastStatus"], task["desiredStatus"], task["version"]) == ("PROVISIONING", "RUNNING", 1)
    assert task["taskArn"].startswith("arn:aws:ecs:us-east-1:000000000000:task/prod/")
    assert "exitCode" not in task["containers"][0]
    task = wait_for(aws, task["taskArn"], "STOPPED")
    assert (task["stopCode"], task["desiredStatus"]) == ("EssentialContainerExited", "STOPPED")
    assert [(c["name"], c["exitCode"]) for c in task["containers"]] == [("app", 0)]
    assert task["createdAt"] <= task["startedAt"] <= task["executionStoppedAt"] <= task["stoppedAt"]
    assert task["startedBy"] == "gantry/h1" and task["version"] == 5
    [entry] = aws.account("tasks", env="A", value="1")
    assert (entry["exit_code"], entry["asked"], entry["stop_code"]) == (0, 1, "EssentialContainerExited")


@pytest.mark.parametrize("environment, stop_code, containers", [
    ([("SIM_EXIT_CODE", "3")], "EssentialContainerExited", [("app", 3)]),
    ([("SIM_NO_EXIT_CODE", "1")], "EssentialContainerExited", [("app", None)]),
    ([("SIM_SIDECAR_EXIT", "9")], "EssentialContainerExited", [("app", 0), ("sidecar", 9)]),
    ([("SIM_STOP_CODE", "SpotInterruption"), ("SIM_STOP_REASON", "gone"), ("SIM_EXIT_CODE", "143")],
     "SpotInterruption", [("app", 143)]),
    ([("SIM_FAIL_TO_START", "1")], "TaskFailedToStart", [("app", None)]),
])
def test_task_ends_as_its_environment_says(aws, environment, stop_code, containers):
    task = wait_for(aws, launch(aws, *environment)["taskArn"], "STOPPED")
    assert task["stopCode"] == stop_code
    assert [(c["name"], c.get("exitCode")) for c in task["containers"]] == containers


def test_stop_ends_a_task_by_the_user(aws):
    arn = launch(aws, ("SIM_RUN_MS", "600000"))["taskArn"]
    wait_for(aws, arn, "RUNNING")
    stopping = aws.ecs("StopTask", cluster="prod", task=arn, reason="enough")["task"]
    assert stopping["desiredStatus"] == "STOPPED"
    task = wait_for(aws, arn, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")
    assert task["containers"][0]["exitCode"] == 143
    assert refused(aws.ecs, "StopTask", cluster="prod", task="nothing").code == "InvalidParameterException"


def test_task_that_ignores_the_stop_is_killed_after_the_timeout(aws):
    arn = launch(aws, ("SIM_RUN_MS", "600000"), ("SIM_IGNORE_TERM", "1"))["taskArn"]
    wait_for(aws, arn, "RUNNING")
    aws.ecs("StopTask", cluster="prod", task=arn)
    assert describe(aws, arn)["lastStatus"] == "RUNNING"
    aws.advance(31)
    assert wait_for(aws, arn, "STOPPED")["containers"][0]["exitCode"] == 137


def test_same_token_and_parameters_is_the_same_task(aws):
    first = launch(aws, clientToken="t", tags=[{"key": "k", "value": "v"}])
    again = launch(aws, clientToken="t", tags=[{"key": "k", "value": "v"}])
    assert again["taskArn"] == first["taskArn"]
    wait_for(aws, first["taskArn"], "STOPPED")
    again = launch(aws, clientToken="t", tags=[{"key": "k", "value": "v"}])
    assert again == {"taskArn": first["taskArn"], "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
    [entry] = aws.account("tasks")
    assert entry["asked"] == 3


def test_same_token_with_other_parameters_is_a_conflict_that_names_the_task(aws):
    first = launch(aws, clientToken="t")
    error = refused(aws.ecs, "RunTask", **launch_request(("B", "2"), clientToken="t"))
    assert (error.status, error.code) == (400, "ConflictException")
    assert error.body["resourceIds"] == [first["taskArn"]]


def test_token_counts_in_its_cluster_only(aws):
    first = launch(aws, clientToken="t")
    assert launch(aws, clientToken="t", cluster="other")["taskArn"] != first["taskArn"]


def test_token_is_forgotten_an_hour_after_its_task_stopped(aws):
    first = launch(aws, clientToken="t")
    wait_for(aws, first["taskArn"], "STOPPED")
    aws.advance(3590)
    assert launch(aws, clientToken="t")["taskArn"] == first["taskArn"]
    aws.advance(20)
    assert launch(aws, clientToken="t")["taskArn"] != first["taskArn"]


def test_token_of_a_running_task_is_forgotten_after_a_day(aws):
    first = launch(aws, ("SIM_RUN_MS", "200000000"), clientToken="t")
    wait_for(aws, first["taskArn"], "RUNNING")
    aws.advance(86390)
    assert launch(aws, ("SIM_RUN_MS", "200000000"), clientToken="t")["taskArn"] == first["taskArn"]
    aws.advance(20)
    assert launch(aws, ("SIM_RUN_MS", "200000000"), clientToken="t")["taskArn"] != first["taskArn"]
    assert describe(aws, first["taskArn"])["lastStatus"] == "RUNNING"


def test_lost_answer_has_started_the_task_and_its_token_finds_it(aws):
    aws.fault(action="RunTask", kind="lost_answer")
    with pytest.raises(OSError):
        launch(aws, clientToken="t")
    task = launch(aws, clientToken="t")
    [entry] = aws.account("tasks")
    assert (entry["arn"], entry["asked"]) == (task["taskArn"], 2)


def test_missing_capacity_is_a_failure_until_a_task_gives_its_room_back(aws):
    aws.admin("POST", "/_admin/capacity", provider="FARGATE", available=1)
    first = launch(aws, ("SIM_RUN_MS", "600000"))
    answer = aws.ecs("RunTask", **launch_request())
    assert answer["tasks"] == [] and "Capacity is unavailable" in answer["failures"][0]["reason"]
    aws.ecs("StopTask", cluster="prod", task=first["taskArn"])
    wait_for(aws, first["taskArn"], "STOPPED")
    launch(aws)


def test_capacity_holes_are_per_provider(aws):
    aws.admin("POST", "/_admin/capacity", provider="FARGATE_SPOT", available=0, reason="RESOURCE:FARGATE")
    request = launch_request()
    del request["launchType"]
    spot = aws.ecs("RunTask", **request, capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
    assert spot == {"tasks": [], "failures": [{"reason": "RESOURCE:FARGATE"}]}
    answer = aws.ecs("RunTask", **request, capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}])
    assert answer["tasks"][0]["capacityProviderName"] == "FARGATE"


def test_capacity_holes_are_per_subnet_and_a_full_one_may_be_chosen(aws):
    aws.admin("POST", "/_admin/capacity", subnet="subnet-1", available=0)

    def run(*subnets):
        return aws.ecs("RunTask", **{**launch_request(), "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": list(subnets)}}})

    full = run("subnet-1")
    assert full["tasks"] == [] and "availability zone" in full["failures"][0]["reason"]
    placed = run("subnet-2")["tasks"][0]
    assert placed["attachments"][0]["details"] == [{"name": "subnetId", "value": "subnet-2"}]
    assert {len(run("subnet-1", "subnet-2")["tasks"]) for _ in range(50)} == {0, 1}
    aws.admin("POST", "/_admin/ecs", first_subnet=True)
    assert {len(run("subnet-1", "subnet-2")["tasks"]) for _ in range(50)} == {0}


def test_room_in_a_subnet_is_given_back(aws):
    aws.admin("POST", "/_admin/capacity", subnet="subnet-1", available=1)
    first = launch(aws, ("SIM_RUN_MS", "600000"))
    assert aws.ecs("RunTask", **launch_request())["tasks"] == []
    aws.ecs("StopTask", cluster="prod", task=first["taskArn"])
    wait_for(aws, first["taskArn"], "STOPPED")
    launch(aws)


def test_calls_beyond_the_rate_are_throttled(aws):
    aws.admin("POST", "/_admin/rate", action="RunTask", per_s=0.001, burst=3)
    for _ in range(3):
        launch(aws)
    error = refused(aws.ecs, "RunTask", **launch_request())
    assert (error.status, error.code) == (400, "ThrottlingException")
    aws.admin("POST", "/_admin/clock", advance_s=1000)
    launch(aws)
    refused(aws.ecs, "RunTask", **launch_request())
    aws.admin("POST", "/_admin/rate", action="RunTask", per_s=0)
    launch(aws)
    aws.admin("POST", "/_admin/rate", action="DescribeTasks", per_s=0.001, burst=0)
    assert refused(aws.ecs, "DescribeTasks", cluster="prod", tasks=["x"]).code == "ThrottlingException"


@pytest.mark.parametrize("spelling", ["plain", "escaped", "slashed", "indented"])
def test_token_stands_for_parameters_however_they_are_spelled(aws, spelling):
    """The same members in another order, with escapes or blanks, are the same request."""
    request = launch_request(("A", "h\u00e9 \"q\" \n /"), clientToken="t")
    first = aws.ecs("RunTask", **request)["tasks"][0]["taskArn"]
    turned = dict(reversed(list(request.items())))
    text = {"plain": json.dumps(turned, ensure_ascii=False), "escaped": json.dumps(turned),
            "slashed": json.dumps(turned, ensure_ascii=False).replace("/", "\\/"),
            "indented": json.dumps(turned, indent=3)}[spelling].encode()
    status, _, answer = aws.request("POST", "/", aws.signed_headers("ecs", "RunTask", text), text)
    assert status == 200
    assert json.loads(answer)["tasks"][0]["taskArn"] == first
    assert describe(aws, first)["overrides"] == request["overrides"]


def test_failure_is_the_remembered_result_of_its_token_unless_told_otherwise(aws):
    aws.fault(action="RunTask", kind="failures", code="RESOURCE:MEMORY")
    failed = aws.ecs("RunTask", **launch_request(clientToken="t"))
    assert failed == {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}
    assert aws.ecs("RunTask", **launch_request(clientToken="t")) == failed
    aws.admin("POST", "/_admin/ecs", failures_bind_token=False)
    aws.fault(action="RunTask", kind="failures")
    assert aws.ecs("RunTask", **launch_request(clientToken="u"))["tasks"] == []
    launch(aws, clientToken="u")


def test_count_gives_several_tasks_and_one_token_for_all(aws):
    request = launch_request(count=3, clientToken="t")
    arns = {t["taskArn"] for t in aws.ecs("RunTask", **request)["tasks"]}
    assert len(arns) == 3
    assert {t["taskArn"] for t in aws.ecs("RunTask", **request)["tasks"]} == arns


@pytest.mark.parametrize("change, words", [
    ({"taskDefinition": ""}, "blank"),
    ({"count": 11}, "count"),
    ({"launchType": "MOON"}, "launchType"),
    ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}, "both a launch type"),
    ({"networkConfiguration": None}, "Network Configuration must be provided"),
    ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": []}}}, "subnets"),
    ({"startedBy": "x" * 129}, "startedBy"),
    ({"startedBy": "a b"}, "startedBy"),
    ({"clientToken": "x" * 65}, "clientToken"),
    ({"clientToken": "a b"}, "clientToken"),
    ({"propagateTags": "SERVICE"}, "propagateTags"),
    ({"tags": [{"key": str(i), "value": ""} for i in range(51)]}, "tags"),
    ({"overrides": {"containerOverrides": [{"name": "app", "command": ["x" * 8192]}]}}, "8192"),
    ({"overrides": {"containerOverrides": [{"command": ["x"]}]}}, "name"),
])
def test_launch_that_ecs_would_refuse_is_refused(aws, change, words):
    error = refused(aws.ecs, "RunTask", **{**launch_request(), **change})
    assert (error.status, error.code) == (400, "InvalidParameterException")
    assert words in error.message
    assert aws.account("tasks") == []


def test_wrong_types_are_a_serialization_exception(aws):
    for change in ({"count": "1"}, {"cluster": 1}, {"overrides": []},
                   {"overrides": {"cpu": 256}},
                   {"overrides": {"containerOverrides": [{"name": "app", "environment": [{"name": "A", "value": 1}]}]}}):
        assert refused(aws.ecs, "RunTask", **{**launch_request(), **change}).code == "SerializationException"


def test_overrides_of_exactly_8192_bytes_are_taken(aws):
    overrides = {"containerOverrides": [{"name": "app", "command": [""]}]}
    room = 8192 - len(json.dumps(overrides, separators=(",", ":")))
    overrides["containerOverrides"][0]["command"] = ["x" * room]
    aws.ecs("RunTask", **{**launch_request(), "overrides": overrides})
    overrides["containerOverrides"][0]["command"] = ["x" * (room + 1)]
    assert "8192" in refused(aws.ecs, "RunTask", **{**launch_request(), "overrides": overrides}).message


def test_describe_names_what_is_missing_and_takes_a_hundred(aws):
    arn = launch(aws)["taskArn"]
    answer = aws.ecs("DescribeTasks", cluster="prod", tasks=[arn.rsplit("/", 1)[1], "0" * 32])
    assert [t["taskArn"] for t in answer["tasks"]] == [arn]
    assert answer["failures"] == [
        {"arn": f"arn:aws:ecs:us-east-1:000000000000:task/prod/{'0' * 32}", "reason": "MISSING"}]
    assert len(aws.ecs("DescribeTasks", cluster="prod", tasks=["x"] * 100)["failures"]) == 100
    for tasks in ([], ["x"] * 101):
        assert refused(aws.ecs, "DescribeTasks", cluster="prod", tasks=tasks).code == "InvalidParameterException"
    error = refused(aws.ecs, "DescribeTasks", cluster="other", tasks=[arn])
    assert "Identifier is for cluster prod" in error.message


def test_tags_are_described_when_asked_for(aws):
    tags = [{"key": "gantry:job", "value": "42"}]
    arn = launch(aws, tags=tags)["taskArn"]
    assert describe(aws, arn)["tags"] == []
    [task] = aws.ecs("DescribeTasks", cluster="prod", tasks=[arn], include=["TAGS"])["tasks"]
    assert task["tags"] == tags


def test_new_task_is_missing_within_the_consistency_window(aws):
    aws.admin("POST", "/_admin/ecs", consistency_ms=60000)
    arn = launch(aws, ("SIM_RUN_MS", "600000"))["taskArn"]
    assert aws.ecs("DescribeTasks", cluster="prod", tasks=[arn])["failures"][0]["reason"] == "MISSING"
    assert aws.ecs("ListTasks", cluster="prod")["taskArns"] == []
    aws.advance(61)
    assert describe(aws, arn)["taskArn"] == arn


def test_stopped_task_is_forgotten_after_its_hour(aws):
    arn = launch(aws)["taskArn"]
    wait_for(aws, arn, "STOPPED")
    aws.advance(3590)
    assert describe(aws, arn)["lastStatus"] == "STOPPED"
    aws.advance(20)
    assert aws.ecs("DescribeTasks", cluster="prod", tasks=[arn])["tasks"] == []
    assert len(aws.account("tasks")) == 1


def test_list_filters_and_pages(aws):
    arns = [launch(aws, ("SIM_RUN_MS", "600000"))["taskArn"] for _ in range(5)]
    other = launch(aws, ("SIM_RUN_MS", "600000"), startedBy="somebody")["taskArn"]
    seen, token = [], {}
    while True:
        page = aws.ecs("ListTasks", cluster="prod", startedBy="gantry/h1", maxResults=2, **token)
        seen += page["taskArns"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == arns
    aws.ecs("StopTask", cluster="prod", task=arns[0])
    assert aws.ecs("ListTasks", cluster="prod", desiredStatus="STOPPED")["taskArns"] == arns[:1]
    assert aws.ecs("ListTasks", cluster="prod", family="job")["taskArns"] == arns[1:] + [other]
    assert aws.ecs("ListTasks", cluster="prod", desiredStatus="PENDING")["taskArns"] == []
    error = refused(aws.ecs, "ListTasks", cluster="prod", startedBy="gantry/h1", desiredStatus="STOPPED")
    assert error.code == "InvalidParameterException" and "only filter" in error.message


def test_events_tell_each_change_once_with_rising_versions(aws):
    aws.admin("POST", "/_admin/events", queue_url=aws.queue_url("events"))
    arn = launch(aws, ("SIM_EXIT_CODE", "4"))["taskArn"]
    wait_for(aws, arn, "STOPPED")
    got = aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url("events"), MaxNumberOfMessages=10)["Messages"]
    events = [json.loads(m["Body"]) for m in got]
    assert {(e["source"], e["detail-type"], *e["resources"]) for e in events} == {
        ("aws.ecs", "ECS Task State Change", arn)}
    details = sorted((e["detail"] for e in events), key=lambda d: d["version"])
    assert [d["lastStatus"] for d in details] == ["PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPED"]
    assert [d["version"] for d in details] == [1, 2, 3, 4, 5]
    assert details[4]["containers"][0]["exitCode"] == 4
    assert details[4]["stoppedAt"].endswith("Z") and details[4]["attachments"][0]["type"] == "eni"


def test_strict_knows_only_what_was_made(tmp_path):
    definition = tmp_path / "definition.json"
    definition.write_text(json.dumps({"family": "job", "containerDefinitions": [{"name": "app", "image": "x"}]}))
    with Awssim("--strict", "--task-definition", str(definition)) as aws:
        request = {**launch_request(), "taskDefinition": "job"}
        error = refused(aws.ecs, "RunTask", **request)
        assert error.code == "ClusterNotFoundException"
        aws.ecs("CreateCluster", clusterName="prod")
        assert aws.ecs("RunTask", **request)["tasks"][0]["taskDefinitionArn"].endswith("task-definition/job:1")
        assert refused(aws.ecs, "RunTask", **{**request, "taskDefinition": "nothing"}).code == "ClientException"
        request["overrides"]["containerOverrides"][0]["name"] = "stranger"
        assert "not a container" in refused(aws.ecs, "RunTask", **request).message
        assert aws.ecs("DescribeClusters", clusters=["prod", "no"])["failures"][0]["reason"] == "MISSING"


def test_definitions_are_registered_in_revisions(aws):
    definition = {"family": "web", "containerDefinitions": [
        {"name": "app", "image": "x", "command": ["true"], "environment": [{"name": "SIM_EXIT_CODE", "value": "5"}]},
        {"name": "log", "image": "y"}]}
    aws.ecs("RegisterTaskDefinition", **definition)
    second = aws.ecs("RegisterTaskDefinition", **definition)["taskDefinition"]
    assert second["taskDefinitionArn"].endswith("task-definition/web:2")
    assert aws.ecs("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"] == second
    request = {**launch_request(), "taskDefinition": "web"}
    [task] = aws.ecs("RunTask", **request)["tasks"]
    task = wait_for(aws, task["taskArn"], "STOPPED")
    assert [(c["name"], c["exitCode"]) for c in task["containers"]] == [("app", 5), ("log", 0)]
    made_up = aws.ecs("DescribeTaskDefinition", taskDefinition="unheard:3")["taskDefinition"]
    assert (made_up["family"], made_up["revision"]) == ("unheard", 3)


@pytest.fixture
def real(tmp_path):
    with Awssim("--exec-dir", str(tmp_path), "--task-start-ms", "1", "--stop-timeout-ms", "300") as sim:
        sim.directory = tmp_path
        yield sim


def run_command(aws, *command, environment=()):
    request = launch_request(*environment)
    request["overrides"]["containerOverrides"][0]["command"] = list(command)
    [task] = aws.ecs("RunTask", **request)["tasks"]
    return task["taskArn"]


def test_command_runs_as_a_process_with_a_clean_environment(real):
    os.environ["AWSSIM_TEST_LEAK"] = "1"
    arn = run_command(real, "sh", "-c", "pwd; env; exit 7", environment=[("PROJECT", "p q")])
    task = wait_for(real, arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 7
    said = (real.directory / (arn.rsplit("/", 1)[1] + ".log")).read_text().splitlines()
    assert said[0] == str(real.directory) and "PROJECT=p q" in said
    assert not any(line.startswith("AWSSIM_TEST_LEAK") for line in said)


def test_stop_reaches_the_process_and_its_children(real):
    arn = run_command(real, "sh", "-c", "trap 'exit 9' TERM; echo ready > flag; while :; do sleep 0.05; done")
    while not (real.directory / "flag").exists():
        pass
    real.ecs("StopTask", cluster="prod", task=arn)
    task = wait_for(real, arn, "STOPPED")
    assert (task["containers"][0]["exitCode"], task["stopCode"]) == (9, "UserInitiated")


def test_process_that_ignores_the_stop_is_killed(real):
    arn = run_command(real, "sh", "-c", "trap '' TERM; echo ready > flag; while :; do sleep 0.05; done")
    while not (real.directory / "flag").exists():
        pass
    real.ecs("StopTask", cluster="prod", task=arn)
    assert wait_for(real, arn, "STOPPED")["containers"][0]["exitCode"] == 137


def test_command_that_does_not_exist_fails_to_start(real):
    task = wait_for(real, run_command(real, "/no/such/command"), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert "exitCode" not in task["containers"][0]
    assert "/no/such/command: No such file" in task["containers"][0]["reason"]


def test_simulator_that_ends_takes_its_processes_along(real):
    run_command(real, "sh", "-c", "echo $$ > pid; mv pid flag; while :; do sleep 0.05; done")
    while not (real.directory / "flag").exists():
        pass
    pid = int((real.directory / "flag").read_text())
    assert real.close() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    real.close = lambda: 0
