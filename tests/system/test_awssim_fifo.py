# SPDX-License-Identifier: Apache-2.0
"""awssim's FIFO queues keep SQS's promises: order, blocked groups, expired handles, deduplication."""

import hashlib
import os
import random
import sys
import threading

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402


@pytest.fixture
def aws():
    with Awssim("--queue", "q.fifo:ContentBasedDeduplication=true,VisibilityTimeout=30",
                "--queue", "plain.fifo",
                "--queue", "pergroup.fifo:DeduplicationScope=messageGroup",
                "--queue", "dead.fifo",
                "--queue", "risky.fifo:ContentBasedDeduplication=true,DeadLetter=dead.fifo,"
                           "MaxReceives=1") as sim:
        yield sim


def send(aws, body, group="g", queue="q.fifo", **more):
    return aws.sqs("SendMessage", QueueUrl=aws.queue_url(queue), MessageBody=body,
                   MessageGroupId=group, **more)


def receive(aws, most=10, queue="q.fifo", **more):
    answer = aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url(queue), MaxNumberOfMessages=most,
                     MessageSystemAttributeNames=["All"], **more)
    return answer.get("Messages", [])


def bodies(messages):
    return [m["Body"] for m in messages]


def delete(aws, message, queue="q.fifo"):
    aws.sqs("DeleteMessage", QueueUrl=aws.queue_url(queue), ReceiptHandle=message["ReceiptHandle"])


def set_visibility(aws, message, seconds):
    aws.sqs("ChangeMessageVisibility", QueueUrl=aws.queue_url("q.fifo"),
            ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)


def refused(call, *arguments, **members):
    with pytest.raises(AwsError) as caught:
        call(*arguments, **members)
    return caught.value


def test_group_is_received_in_the_order_it_was_sent(aws):
    for i in range(25):
        send(aws, str(i))
    seen = []
    for _ in range(3):
        batch = receive(aws)
        seen += bodies(batch)
        for message in batch:
            delete(aws, message)
    assert seen == [str(i) for i in range(25)]


def test_sequence_numbers_rise_and_are_longer_than_64_bits(aws):
    numbers = [int(send(aws, str(i))["SequenceNumber"]) for i in range(3)]
    assert numbers == sorted(set(numbers)) and numbers[0] > 2 ** 64
    assert [int(m["Attributes"]["SequenceNumber"]) for m in receive(aws)] == numbers


def test_group_is_blocked_while_one_of_its_messages_is_in_flight(aws):
    for i in range(3):
        send(aws, str(i))
    [first] = receive(aws, 1)
    assert receive(aws) == []
    delete(aws, first)
    assert bodies(receive(aws)) == ["1", "2"]


def test_one_receive_prefers_one_group_and_then_takes_the_next(aws):
    for i in range(4):
        send(aws, f"a{i}", "a")
        send(aws, f"b{i}", "b")
    assert bodies(receive(aws, 6)) == ["a0", "a1", "a2", "a3", "b0", "b1"]
    assert receive(aws) == []


def test_other_groups_go_on_while_one_is_in_flight(aws):
    send(aws, "a0", "a")
    send(aws, "a1", "a")
    send(aws, "b0", "b")
    assert bodies(receive(aws, 1)) == ["a0"]
    assert bodies(receive(aws)) == ["b0"]


def test_message_that_comes_back_is_first_in_its_group_again(aws):
    for i in range(3):
        send(aws, str(i))
    receive(aws, 2)
    aws.advance(31)
    assert bodies(receive(aws)) == ["0", "1", "2"]


def test_releasing_one_message_leaves_its_group_blocked_by_the_others(aws):
    for i in range(3):
        send(aws, str(i))
    batch = receive(aws)
    set_visibility(aws, batch[0], 0)
    assert receive(aws) == []
    set_visibility(aws, batch[1], 0)
    set_visibility(aws, batch[2], 0)
    assert bodies(receive(aws)) == ["0", "1", "2"]


def test_delete_with_an_expired_handle_fails(aws):
    send(aws, "0")
    [first] = receive(aws)
    aws.advance(31)
    error = refused(delete, aws, first)
    assert (error.status, error.code) == (400, "InvalidParameterValue")
    assert "Reason: The receipt handle has expired" in error.message
    [second] = receive(aws)
    assert "expired" in refused(delete, aws, first).message
    delete(aws, second)
    aws.advance(31)
    assert receive(aws) == []


def test_expired_handle_in_a_batch_is_one_failed_entry(aws):
    send(aws, "0")
    [old] = receive(aws)
    aws.advance(31)
    [new] = receive(aws)
    answer = aws.sqs("DeleteMessageBatch", QueueUrl=aws.queue_url("q.fifo"), Entries=[
        {"Id": "old", "ReceiptHandle": old["ReceiptHandle"]},
        {"Id": "new", "ReceiptHandle": new["ReceiptHandle"]}])
    assert [e["Id"] for e in answer["Successful"]] == ["new"]
    assert [(e["Id"], e["Code"], e["SenderFault"]) for e in answer["Failed"]] == [
        ("old", "InvalidParameterValue", True)]


def test_same_body_within_five_minutes_is_the_same_message(aws):
    first, again = send(aws, "x"), send(aws, "x", group="other")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    [message] = receive(aws)
    assert message["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"x").hexdigest()
    delete(aws, message)
    assert send(aws, "x")["MessageId"] == first["MessageId"]
    aws.advance(301)
    assert send(aws, "x")["MessageId"] != first["MessageId"]


def test_deduplication_id_counts_instead_of_the_body(aws):
    first = send(aws, "x", MessageDeduplicationId="d")
    assert send(aws, "y", MessageDeduplicationId="d")["MessageId"] == first["MessageId"]
    assert send(aws, "x", MessageDeduplicationId="e")["MessageId"] != first["MessageId"]


def test_deduplication_may_be_per_group(aws):
    first = send(aws, "x", "a", "pergroup.fifo", MessageDeduplicationId="d")
    assert send(aws, "x", "b", "pergroup.fifo", MessageDeduplicationId="d")["MessageId"] != first["MessageId"]
    assert send(aws, "x", "a", "pergroup.fifo", MessageDeduplicationId="d")["MessageId"] == first["MessageId"]


@pytest.mark.parametrize("members, code", [
    ({}, "MissingParameter"),
    ({"MessageGroupId": "g"}, "InvalidParameterValue"),
    ({"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 5}, "InvalidParameterValue"),
    ({"MessageGroupId": "g g", "MessageDeduplicationId": "d"}, "InvalidParameterValue"),
    ({"MessageGroupId": "g" * 129, "MessageDeduplicationId": "d"}, "InvalidParameterValue"),
])
def test_what_fifo_needs_is_asked_for(aws, members, code):
    error = refused(aws.sqs, "SendMessage", QueueUrl=aws.queue_url("plain.fifo"), MessageBody="x", **members)
    assert (error.status, error.code) == (400, code)


def test_receive_attempt_gives_the_same_messages_with_the_same_handles(aws):
    for i in range(2):
        send(aws, str(i))
    first = receive(aws, ReceiveRequestAttemptId="attempt")
    aws.advance(20)
    again = receive(aws, ReceiveRequestAttemptId="attempt")
    assert [m["ReceiptHandle"] for m in again] == [m["ReceiptHandle"] for m in first]
    assert [m["Attributes"]["ApproximateReceiveCount"] for m in again] == ["1", "1"]
    aws.advance(20)
    delete(aws, again[0])
    assert receive(aws, ReceiveRequestAttemptId="attempt") == []


def test_lost_receive_is_repeated_by_its_attempt(aws):
    send(aws, "0")
    aws.fault(action="ReceiveMessage", kind="lost_answer")
    with pytest.raises(OSError):
        receive(aws, ReceiveRequestAttemptId="attempt")
    assert receive(aws) == []
    assert bodies(receive(aws, ReceiveRequestAttemptId="attempt")) == ["0"]


def test_dead_letter_lets_the_rest_of_its_group_go_on(aws):
    for i in range(3):
        send(aws, str(i), queue="risky.fifo")
    assert bodies(receive(aws, 1, "risky.fifo")) == ["0"]
    aws.advance(31)
    assert bodies(receive(aws, 10, "risky.fifo")) == ["1", "2"]
    [dead] = receive(aws, 10, "dead.fifo")
    assert (dead["Body"], dead["Attributes"]["MessageGroupId"]) == ("0", "g")


def test_long_poll_gets_the_next_of_a_group_when_the_first_is_deleted(aws):
    send(aws, "0")
    send(aws, "1")
    [first] = receive(aws, 1)
    got = []
    poll = threading.Thread(target=lambda: got.extend(receive(aws, WaitTimeSeconds=20)))
    poll.start()
    while aws.stats()["queues"]["q.fifo"]["waiters"] == 0:
        pass
    delete(aws, first)
    poll.join(10)
    assert bodies(got) == ["1"]


def test_group_order_holds_whatever_is_released_and_expires(aws):
    """A consumer that fails at random still sees each group's messages in order."""
    groups, each = 5, 20
    for i in range(each):
        for group in range(groups):
            send(aws, f"{group}-{i}", f"g{group}")
    done = {group: 0 for group in range(groups)}
    fails = random.Random(7)
    while sum(done.values()) < groups * each:
        stopped = set()
        batch = receive(aws)
        for message in batch:
            group, number = map(int, message["Body"].split("-"))
            if group in stopped or fails.random() < 0.25:
                stopped.add(group)
                continue
            assert number == done[group]
            delete(aws, message)
            done[group] += 1
        aws.advance(31)
    assert receive(aws) == []
