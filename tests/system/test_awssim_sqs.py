# SPDX-License-Identifier: Apache-2.0
"""awssim's standard queues keep SQS's promises: visibility, handles, batches, dead letters."""

import hashlib
import http.client
import os
import struct
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402


@pytest.fixture
def aws():
    with Awssim("--queue", "jobs:VisibilityTimeout=30", "--queue", "dead",
                "--queue", "risky:DeadLetter=dead,MaxReceives=2,VisibilityTimeout=30") as sim:
        yield sim


def send(aws, body="hello", queue="jobs", **more):
    return aws.sqs("SendMessage", QueueUrl=aws.queue_url(queue), MessageBody=body, **more)


def receive(aws, queue="jobs", most=10, **more):
    answer = aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url(queue), MaxNumberOfMessages=most,
                     MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"], **more)
    return answer.get("Messages", [])


def delete(aws, handle, queue="jobs"):
    aws.sqs("DeleteMessage", QueueUrl=aws.queue_url(queue), ReceiptHandle=handle)


def attributes(aws, queue="jobs"):
    return aws.sqs("GetQueueAttributes", QueueUrl=aws.queue_url(queue),
                   AttributeNames=["All"])["Attributes"]


def refused(call, *arguments, **members):
    with pytest.raises(AwsError) as caught:
        call(*arguments, **members)
    return caught.value


def test_message_comes_back_as_it_was_sent(aws):
    body = "tab\tline\nquote\" back\\ ümlaut €uro 😀"
    sent = send(aws, body)
    [message] = receive(aws)
    assert message["Body"] == body
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 5


def test_md5_of_message_attributes_is_the_documented_one(aws):
    given = {"b": {"DataType": "Binary", "BinaryValue": "AAE="},
             "a": {"DataType": "String", "StringValue": "value"}}
    expected = b""
    for name, kind, tag, value in (("a", "String", 1, b"value"), ("b", "Binary", 2, b"\0\1")):
        expected += struct.pack(">I", len(name)) + name.encode()
        expected += struct.pack(">I", len(kind)) + kind.encode()
        expected += bytes([tag]) + struct.pack(">I", len(value)) + value
    sent = send(aws, MessageAttributes=given)
    assert sent["MD5OfMessageAttributes"] == hashlib.md5(expected).hexdigest()
    [message] = receive(aws)
    assert message["MessageAttributes"] == given
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]


def test_received_message_is_hidden_until_its_time_is_over(aws):
    send(aws)
    [first] = receive(aws)
    assert receive(aws) == []
    aws.advance(29)
    assert receive(aws) == []
    aws.advance(1.1)
    [second] = receive(aws)
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_delete_with_an_old_handle_says_yes_and_does_nothing(aws):
    send(aws)
    [first] = receive(aws)
    aws.advance(31)
    [second] = receive(aws)
    delete(aws, first["ReceiptHandle"])
    aws.advance(31)
    [third] = receive(aws)
    delete(aws, third["ReceiptHandle"])
    delete(aws, third["ReceiptHandle"])
    aws.advance(31)
    assert receive(aws) == []
    [entry] = aws.account("messages")
    assert (len(entry["receives"]), len(entry["deletes"]), len(entry["stale_deletes"])) == (3, 1, 1)


def test_handle_that_was_never_given_is_invalid(aws):
    error = refused(delete, aws, "nonsense")
    assert (error.status, error.code) == (404, "ReceiptHandleIsInvalid")
    assert error.query_code == "ReceiptHandleIsInvalid;Sender"


def test_visibility_is_set_anew_from_now(aws):
    send(aws)
    [message] = receive(aws)
    change = {"QueueUrl": aws.queue_url("jobs"), "ReceiptHandle": message["ReceiptHandle"]}
    aws.advance(20)
    aws.sqs("ChangeMessageVisibility", VisibilityTimeout=30, **change)
    aws.advance(29)
    assert receive(aws) == []
    aws.sqs("ChangeMessageVisibility", VisibilityTimeout=0, **change)
    assert len(receive(aws)) == 1


def test_visibility_ends_twelve_hours_after_the_receive(aws):
    send(aws)
    [message] = receive(aws)
    change = {"QueueUrl": aws.queue_url("jobs"), "ReceiptHandle": message["ReceiptHandle"]}
    aws.sqs("ChangeMessageVisibility", VisibilityTimeout=43195, **change)
    aws.advance(10)
    error = refused(aws.sqs, "ChangeMessageVisibility", VisibilityTimeout=43200, **change)
    assert error.code == "InvalidParameterValue" and "beyond the limit" in error.message
    aws.advance(43190)
    assert len(receive(aws)) == 1


def test_visibility_of_a_message_not_in_flight_cannot_be_changed(aws):
    send(aws)
    [message] = receive(aws)
    change = {"QueueUrl": aws.queue_url("jobs"), "ReceiptHandle": message["ReceiptHandle"],
              "VisibilityTimeout": 5}
    aws.advance(31)
    error = refused(aws.sqs, "ChangeMessageVisibility", **change)
    assert (error.status, error.code) == (400, "MessageNotInflight")
    assert error.query_code == "AWS.SimpleQueueService.MessageNotInflight;Sender"
    delete(aws, message["ReceiptHandle"])
    assert refused(aws.sqs, "ChangeMessageVisibility", **change).code == "InvalidParameterValue"


def test_delayed_message_appears_when_its_delay_is_over(aws):
    send(aws, DelaySeconds=60)
    assert receive(aws) == []
    assert attributes(aws)["ApproximateNumberOfMessagesDelayed"] == "1"
    aws.advance(61)
    assert len(receive(aws)) == 1


def test_long_poll_ends_with_the_first_message(aws):
    got = []
    poll = threading.Thread(target=lambda: got.extend(receive(aws, WaitTimeSeconds=20)))
    started = time.monotonic()
    poll.start()
    while aws.stats()["queues"]["jobs"]["waiters"] == 0:
        assert time.monotonic() < started + 10
    send(aws)
    poll.join(10)
    assert len(got) == 1 and time.monotonic() < started + 10


def test_long_poll_gets_what_becomes_visible(aws):
    send(aws)
    receive(aws, VisibilityTimeout=1)
    started = time.monotonic()
    assert len(receive(aws, WaitTimeSeconds=20)) == 1
    assert 0.5 < time.monotonic() - started < 10


def test_long_poll_that_finds_nothing_says_so_and_is_counted(aws):
    assert receive(aws, WaitTimeSeconds=1) == []
    assert receive(aws) == []
    assert aws.stats()["totals"]["empty_receives"] == 2


def test_client_that_leaves_its_long_poll_takes_no_message(aws):
    body = ('{"QueueUrl": "%s", "WaitTimeSeconds": 20}' % aws.queue_url("jobs")).encode()
    headers = aws.signed_headers("sqs", "ReceiveMessage", body)
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    connection.request("POST", "/", body, headers)
    while aws.stats()["queues"]["jobs"]["waiters"] == 0:
        pass
    connection.close()
    while aws.stats()["queues"]["jobs"]["waiters"] == 1:
        pass
    send(aws)
    assert len(receive(aws)) == 1
    assert aws.stats()["calls"]["ReceiveMessage"]["client_gone"] == 1


# Strings are looked at eight bytes at a time, so a letter matters at every place.
@pytest.mark.parametrize("letter", ['"', "\\", "\n", "é", "€", "😀", "\ufffd", "\x7f"])
def test_each_letter_survives_at_each_place(aws, letter):
    bodies = {f"{'x' * before}{letter}{'y' * after}" for before in range(18) for after in (0, 9)}
    for start in range(0, len(bodies), 10):
        batch = sorted(bodies)[start:start + 10]
        answer = aws.sqs("SendMessageBatch", QueueUrl=aws.queue_url("jobs"), Entries=[
            {"Id": str(i), "MessageBody": body} for i, body in enumerate(batch)])
        assert [entry["MD5OfMessageBody"] for entry in answer["Successful"]] == [
            hashlib.md5(body.encode()).hexdigest() for body in batch]
    got = [message["Body"] for _ in range(10) for message in receive(aws)]
    assert sorted(got) == sorted(bodies)


@pytest.mark.parametrize("letter", ["\x01", "\x1f", "\ufffe", "\uffff"])
def test_letters_that_no_message_may_have_are_refused_at_each_place(aws, letter):
    for before in range(18):
        error = refused(send, aws, f"{'x' * before}{letter}{'y' * 9}")
        assert error.code == "InvalidMessageContents", before


@pytest.mark.parametrize("text", [b"\xc3\x28", b"12345678\xff", b"\\n\xc3\x28", b"12345678\\n\xff"])
def test_text_that_is_not_utf8_is_refused(aws, text):
    body = b'{"QueueUrl":"%s","MessageBody":"%s"}' % (aws.queue_url("jobs").encode(), text)
    status, _, answer = aws.request("POST", "/", aws.signed_headers("sqs", "SendMessage", body), body)
    assert (status, b"SerializationException" in answer) == (400, True)


def test_each_entry_of_a_batch_has_its_own_end(aws):
    url = aws.queue_url("jobs")
    answer = aws.sqs("SendMessageBatch", QueueUrl=url, Entries=[
        {"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\x01"}])
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)
    [message] = receive(aws)
    answer = aws.sqs("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 5},
        {"Id": "b", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 50000},
        {"Id": "c", "ReceiptHandle": "nonsense", "VisibilityTimeout": 5}])
    assert [e["Id"] for e in answer["Successful"]] == ["a"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [
        ("b", "InvalidParameterValue"), ("c", "ReceiptHandleIsInvalid")]
    answer = aws.sqs("DeleteMessageBatch", QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}])
    assert answer == {"Successful": [{"Id": "a"}]}


@pytest.mark.parametrize("entries, code", [
    ([], "EmptyBatchRequest"),
    ([{"Id": str(i), "MessageBody": "x"} for i in range(11)], "TooManyEntriesInBatchRequest"),
    ([{"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "x"}], "BatchEntryIdsNotDistinct"),
    ([{"Id": "a b", "MessageBody": "x"}], "InvalidBatchEntryId"),
    ([{"Id": str(i), "MessageBody": "x" * 600000} for i in range(2)], "BatchRequestTooLong"),
])
def test_batch_that_is_no_batch_is_refused_whole(aws, entries, code):
    error = refused(aws.sqs, "SendMessageBatch", QueueUrl=aws.queue_url("jobs"), Entries=entries)
    assert (error.status, error.code) == (400, code)
    assert error.query_code == f"AWS.SimpleQueueService.{code};Sender"
    assert aws.account("messages") == []


@pytest.mark.parametrize("action, members, status, code", [
    ("SendMessage", {"MessageBody": ""}, 400, "MissingParameter"),
    ("SendMessage", {"MessageBody": "x" * (1024 * 1024 + 1)}, 400, "InvalidParameterValue"),
    ("SendMessage", {"MessageBody": "\x00"}, 400, "InvalidMessageContents"),
    ("SendMessage", {"MessageBody": 5}, 400, "SerializationException"),
    ("SendMessage", {"MessageBody": "x", "DelaySeconds": 901}, 400, "InvalidParameterValue"),
    ("SendMessage", {"MessageBody": "x", "MessageDeduplicationId": "d"}, 400, "InvalidParameterValue"),
    ("ReceiveMessage", {"MaxNumberOfMessages": 11}, 400, "InvalidParameterValue"),
    ("ReceiveMessage", {"MaxNumberOfMessages": "1"}, 400, "SerializationException"),
    ("ReceiveMessage", {"WaitTimeSeconds": 21}, 400, "InvalidParameterValue"),
    ("ReceiveMessage", {"VisibilityTimeout": 43201}, 400, "InvalidParameterValue"),
    ("SetQueueAttributes", {"Attributes": {"VisibilityTimeout": "x"}}, 400, "InvalidAttributeValue"),
    ("SetQueueAttributes", {"Attributes": {"Speed": "9"}}, 400, "InvalidAttributeName"),
    ("Nonsense", {}, 400, "UnknownOperationException"),
])
def test_request_that_is_wrong_is_refused_by_name(aws, action, members, status, code):
    error = refused(aws.sqs, action, QueueUrl=aws.queue_url("jobs"), **members)
    assert (error.status, error.code) == (status, code)


def test_body_of_one_mebibyte_is_taken(aws):
    send(aws, "ä" * (512 * 1024))
    assert len(receive(aws)[0]["Body"]) == 512 * 1024


def test_unknown_queue_has_the_shape_and_the_old_code(aws):
    error = refused(send, aws, queue="nowhere")
    assert (error.status, error.code) == (400, "QueueDoesNotExist")
    assert error.query_code == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert error.body["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"


def test_message_received_too_often_goes_to_the_dead_letter_queue(aws):
    sent = send(aws, queue="risky")
    for count in ("1", "2"):
        assert receive(aws, "risky")[0]["Attributes"]["ApproximateReceiveCount"] == count
        aws.advance(31)
    assert receive(aws, "risky") == []
    [message] = receive(aws, "dead")
    assert message["MessageId"] == sent["MessageId"]
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(":risky")
    assert aws.summary()["messages"]["dead_lettered"] == 1


def test_move_task_brings_dead_letters_back_under_new_ids(aws):
    sent = send(aws, queue="risky")
    for _ in range(3):
        receive(aws, "risky")
        aws.advance(31)
    arn = attributes(aws, "dead")["QueueArn"]
    assert aws.sqs("StartMessageMoveTask", SourceArn=arn)["TaskHandle"]
    while True:
        [task] = aws.sqs("ListMessageMoveTasks", SourceArn=arn)["Results"]
        if task["Status"] != "RUNNING":
            break
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    [message] = receive(aws, "risky")
    assert message["MessageId"] != sent["MessageId"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_message_is_forgotten_after_its_retention(aws):
    send(aws)
    aws.advance(4 * 86400 + 1)
    assert attributes(aws)["ApproximateNumberOfMessages"] == "0"
    assert receive(aws) == []


def test_purge_empties_a_queue_once_a_minute(aws):
    send(aws)
    aws.sqs("PurgeQueue", QueueUrl=aws.queue_url("jobs"))
    assert receive(aws) == []
    error = refused(aws.sqs, "PurgeQueue", QueueUrl=aws.queue_url("jobs"))
    assert (error.status, error.code) == (403, "PurgeQueueInProgress")
    aws.advance(61)
    aws.sqs("PurgeQueue", QueueUrl=aws.queue_url("jobs"))


def test_queues_are_made_listed_changed_and_deleted(aws):
    url = aws.sqs("CreateQueue", QueueName="new", Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    assert aws.sqs("CreateQueue", QueueName="new", Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == url
    error = refused(aws.sqs, "CreateQueue", QueueName="new", Attributes={"VisibilityTimeout": "8"})
    assert (error.code, error.query_code) == ("QueueNameExists", "QueueAlreadyExists;Sender")
    assert aws.sqs("ListQueues", QueueNamePrefix="n")["QueueUrls"] == [url]
    aws.sqs("SetQueueAttributes", QueueUrl=url, Attributes={"VisibilityTimeout": "9"})
    assert attributes(aws, "new")["VisibilityTimeout"] == "9"
    aws.sqs("DeleteQueue", QueueUrl=url)
    assert refused(aws.sqs, "GetQueueUrl", QueueName="new").code == "QueueDoesNotExist"


def test_deleting_a_queue_ends_its_long_polls(aws):
    caught = []

    def poll():
        caught.append(refused(receive, aws, WaitTimeSeconds=20).code)
    thread = threading.Thread(target=poll)
    thread.start()
    while aws.stats()["queues"]["jobs"]["waiters"] == 0:
        pass
    aws.sqs("DeleteQueue", QueueUrl=aws.queue_url("jobs"))
    thread.join(10)
    assert caught == ["QueueDoesNotExist"]


def test_standard_message_may_come_twice_when_asked_for(aws):
    aws.admin("POST", "/_admin/duplicate", probability=1.0)
    sent = send(aws)
    first, second = receive(aws, most=1), receive(aws, most=1)
    assert [m["MessageId"] for m in first + second] == [sent["MessageId"]] * 2


def test_deleted_standard_message_may_come_again_when_asked_for(aws):
    aws.admin("POST", "/_admin/duplicate", after_delete=1.0)
    sent = send(aws)
    delete(aws, receive(aws)[0]["ReceiptHandle"])
    assert receive(aws)[0]["MessageId"] == sent["MessageId"]
