# SPDX-License-Identifier: Apache-2.0
"""Debian's botocore, which knows nothing of awssim, gets along with it: SQS and SNS by the query
protocol, ECS by JSON."""

import os
import sys

import botocore.awsrequest
import botocore.exceptions
import botocore.httpsession
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim  # noqa: E402

BODY = "<tag attribute=\"a&b\"> 'ümlaut' \r\n\tend"


@pytest.fixture
def aws():
    with Awssim("--queue", "jobs", "--task-start-ms", "1", "--task-run-ms", "1") as sim:
        yield sim


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_message_goes_round(aws):
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    attributes = {"s": {"DataType": "String", "StringValue": "v&<"},
                  "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody=BODY, MessageAttributes=attributes)
    [message] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
                                    AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageId"]) == (BODY, sent["MessageId"])
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [again] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_queues_own_url_needs_neither_version_nor_name(aws):
    """As kombu's SQS transport sends it."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=BODY)

    def as_kombu(to):
        request = botocore.awsrequest.AWSRequest("POST", to, data={"Action": "ReceiveMessage", "MaxNumberOfMessages": "4"})
        sqs._request_signer.sign("ReceiveMessage", request)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return botocore.httpsession.URLLib3Session().send(request.prepare())

    answer = as_kombu(url)
    assert answer.status_code == 200 and "<ReceiptHandle>" in answer.text
    assert as_kombu(url.split("/000")[0] + "/").status_code == 400


def test_fifo_queue_is_made_and_used(aws):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="q.fifo", Attributes={
        "FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "40"})["QueueUrl"]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": str(i), "MessageBody": str(i), "MessageGroupId": "g"} for i in range(10)])
    assert len(answer["Successful"]) == 10
    batch = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"])["Messages"]
    assert [m["Body"] for m in batch] == [str(i) for i in range(10)]
    assert batch[0]["Attributes"] == {"MessageGroupId": "g"}
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=[
        {"Id": "good", "ReceiptHandle": batch[0]["ReceiptHandle"]}, {"Id": "bad", "ReceiptHandle": "x"}])
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [("bad", "ReceiptHandleIsInvalid")]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": batch[1]["ReceiptHandle"], "VisibilityTimeout": 100}])
    assert [e["Id"] for e in answer["Successful"]] == ["a"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (attributes["FifoQueue"], attributes["VisibilityTimeout"]) == ("true", "40")
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "9"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "41"})
    assert sorted(sqs.list_queues()["QueueUrls"]) == sorted([url, aws.queue_url("jobs")])
    sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


def test_errors_have_the_old_codes(aws):
    sqs = aws.client("sqs")
    url = aws.queue_url("jobs")
    assert code_of(sqs.get_queue_url, QueueName="no") == "AWS.SimpleQueueService.NonExistentQueue"
    assert code_of(sqs.delete_message, QueueUrl=url, ReceiptHandle="x") == "ReceiptHandleIsInvalid"
    assert code_of(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=21) == "InvalidParameterValue"
    assert code_of(sqs.send_message_batch, QueueUrl=url, Entries=[]) == "AWS.SimpleQueueService.EmptyBatchRequest"
    assert code_of(aws.client("sqs", secret="wrong").list_queues) == "SignatureDoesNotMatch"
    assert code_of(aws.client("sqs", access_key="NOBODY").list_queues) == "InvalidClientTokenId"
    aws.fault(action="ListQueues", kind="throttle")
    assert code_of(sqs.list_queues) == "RequestThrottled"


def test_tasks_are_run_by_botocore(aws):
    ecs = aws.client("ecs")
    [task] = ecs.run_task(cluster="c", taskDefinition="job", startedBy="me", launchType="FARGATE",
                          networkConfiguration={"awsvpcConfiguration": {"subnets": ["s"]}},
                          overrides={"containerOverrides": [{"name": "app", "environment": [
                              {"name": "SIM_EXIT_CODE", "value": "2"}]}]})["tasks"]
    waiter = ecs.get_waiter("tasks_stopped")
    waiter.wait(cluster="c", tasks=[task["taskArn"]], WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
    [task] = ecs.describe_tasks(cluster="c", tasks=[task["taskArn"]])["tasks"]
    assert task["containers"][0]["exitCode"] == 2
    assert task["stoppedAt"] >= task["createdAt"]
    assert code_of(ecs.stop_task, cluster="c", task="no") == "InvalidParameterException"


def test_published_notifications_are_accounted(aws):
    sns = aws.client("sns")
    topic = "arn:aws:sns:us-east-1:000000000000:deploys"
    sent = sns.publish(TopicArn=topic, Message=BODY, Subject="s")
    [entry] = aws.account("published")
    assert (entry["TopicArn"], entry["Message"], entry["MessageId"]) == (topic, BODY, sent["MessageId"])
    assert code_of(sns.publish, TopicArn=topic + ".fifo", Message="x") == "InvalidParameter"
