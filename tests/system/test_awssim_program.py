# SPDX-License-Identifier: Apache-2.0
"""awssim as a program: its options, its end, its account and its reset."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError, find_awssim  # noqa: E402


def run(*options):
    return subprocess.run([find_awssim(), *options], capture_output=True, text=True, timeout=20)


def test_help_is_an_answer_and_nonsense_a_mistake():
    assert "--queue" in run("--help").stdout
    assert run("--help").returncode == 0
    for options in (["--nonsense"], ["extra"], ["--port", "x"], ["--port", "70000"]):
        done = run(*options)
        assert done.returncode == 2 and done.stderr


@pytest.mark.parametrize("options, words", [
    (["--queue", "q:VisibilityTimeout=x"], "VisibilityTimeout"),
    (["--queue", "q:Speed=9"], "Speed"),
    (["--key", "lonely"], "ID:SECRET"),
    (["--task-definition", "/no/such/file"], "/no/such/file"),
    (["--record", "/no/such/directory/file"], "/no/such/directory"),
    (["--port-file", "/no/such/directory/file"], "/no/such/directory"),
])
def test_start_that_cannot_work_says_why(options, words):
    done = run(*options)
    assert done.returncode == 1 and words in done.stderr and "listening" not in done.stdout


def test_port_that_is_taken_is_named():
    with Awssim() as aws:
        done = run("--port", str(aws.port))
        assert done.returncode == 1 and str(aws.port) in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(number, tmp_path):
    port_file = tmp_path / "port"
    program = subprocess.Popen([find_awssim(), "--port-file", str(port_file)], stdout=subprocess.PIPE, text=True,
                               stdin=subprocess.DEVNULL)
    url = program.stdout.readline().split()[-1]
    assert url == f"http://127.0.0.1:{port_file.read_text().strip()}"
    program.send_signal(number)
    assert program.wait(20) == 0
    program.stdout.close()


def test_end_of_the_parent_ends_it():
    aws = Awssim()
    aws.process.stdin.close()
    assert aws.process.wait(20) == 0
    aws.process.stdout.close()


def test_only_this_host_can_reach_it():
    with Awssim() as aws:
        with open("/proc/net/tcp") as table:
            ports = [line.split()[1] for line in table if line.split()[3] == "0A"]
        assert f"0100007F:{aws.port:04X}" in ports
        assert f"00000000:{aws.port:04X}" not in ports


def test_record_has_a_line_for_each_request(tmp_path):
    record = tmp_path / "requests"
    with Awssim("--queue", "jobs", "--record", str(record)) as aws:
        aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody="ü")
        aws.ecs("ListTasks", cluster="c")
        aws.client("sqs").send_message(QueueUrl=aws.queue_url("jobs"), MessageBody="x", DelaySeconds=1)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        url = aws.queue_url("jobs")
    assert lines == [
        {"service": "sqs", "action": "SendMessage", "protocol": "json",
         "body": {"QueueUrl": url, "MessageBody": "ü"}},
        {"service": "ecs", "action": "ListTasks", "protocol": "json", "body": {"cluster": "c"}},
        {"service": "sqs", "action": "SendMessage", "protocol": "query",
         "body": {"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 1}}]


def test_account_comes_in_pages():
    with Awssim("--queue", "jobs", "--queue", "other") as aws:
        for i in range(25):
            aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs" if i % 5 else "other"), MessageBody=str(i))
        page = aws.admin("GET", "/_account/messages?limit=10")
        assert len(page["messages"]) == 10 and page["next"] == 10
        page = aws.admin("GET", "/_account/messages?limit=10&after=20")
        assert len(page["messages"]) == 5 and page["next"] is None
        assert len(aws.account("messages", queue="jobs", limit=7)) == 20


def test_account_tells_what_was_launched_twice():
    with Awssim() as aws:
        for job in ("a", "b", "a"):
            aws.ecs("RunTask", cluster="c", taskDefinition="t", overrides={"containerOverrides": [
                {"name": "app", "environment": [{"name": "GANTRY_JOB", "value": job}]}]})
        aws.ecs("RunTask", cluster="c", taskDefinition="t")
        told = aws.summary("GANTRY_JOB")
        assert told["tasks"]["created"] == 4
        assert told["environment"] == {"name": "GANTRY_JOB", "distinct": 2, "without": 1,
                                       "doubled": [{"value": "a", "count": 2}]}


def test_reset_forgets_all_but_the_queues():
    with Awssim("--queue", "jobs") as aws:
        aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody="x")
        aws.ecs("RunTask", cluster="c", taskDefinition="t", clientToken="t")
        aws.fault(action="*", kind="throttle", count=-1)
        aws.admin("POST", "/_reset")
        assert aws.account("messages") == [] and aws.account("tasks") == []
        assert aws.stats()["calls"] == {}
        assert aws.ecs("ListTasks", cluster="c")["taskArns"] == []
        assert aws.sqs("ReceiveMessage", QueueUrl=aws.queue_url("jobs")) == {}


def test_account_can_be_off():
    with Awssim("--queue", "jobs", "--no-ledger") as aws:
        aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody="x")
        assert aws.account("messages") == [] and not aws.summary()["enabled"]


def test_ids_differ_from_one_run_to_the_next_unless_seeded():
    def first_id(*options):
        with Awssim("--queue", "jobs", *options) as aws:
            return aws.sqs("SendMessage", QueueUrl=aws.queue_url("jobs"), MessageBody="x")["MessageId"]
    assert first_id() != first_id()
    assert first_id("--seed", "5") == first_id("--seed", "5")


def exchange(aws, data):
    with socket.create_connection(("127.0.0.1", aws.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize("request_, status", [
    (b"nonsense\r\n\r\n", b"400"),
    (b"GET / HTTP/2.0\r\n\r\n", b"400"),
    (b"GET /_health HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
    (b"GET /_health HTTP/1.1\r\nA: \0\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
    (b"GET /" + b"x" * 70000, b"413"),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", b"400"),
])
def test_request_that_is_no_http_is_refused_and_the_connection_closed(request_, status):
    with Awssim() as aws:
        assert exchange(aws, request_).split(b" ")[1] == status
        assert aws.admin("GET", "/_health")["ok"]


def test_requests_may_come_in_pieces_or_several_at_once():
    with Awssim() as aws:
        request = b"GET /_health HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection(("127.0.0.1", aws.port), timeout=20) as connection:
            for i in range(len(request)):
                connection.sendall(request[i:i + 1])
            connection.sendall(request * 3)
            answer = b""
            while answer.count(b'{"ok":true}') < 4:
                answer += connection.recv(65536)
        assert answer.count(b"HTTP/1.1 200") == 4


def test_body_may_wait_for_the_go_ahead():
    with Awssim("--no-auth", "--queue", "jobs") as aws:
        body = b'{"QueueName":"jobs"}'
        with socket.create_connection(("127.0.0.1", aws.port), timeout=20) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nX-Amz-Target: AmazonSQS.GetQueueUrl\r\n"
                               b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            connection.sendall(body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"null", b"\xff\xfe", b"{}x"])
def test_body_that_is_no_object_is_a_serialization_exception(body):
    with Awssim() as aws:
        headers = aws.signed_headers("sqs", "ListQueues", body)
        status, headers, answer = aws.request("POST", "/", headers, body)
        assert status == 400
        assert AwsError(status, headers, answer).code == "SerializationException"


@pytest.mark.parametrize("body", [b"Action", b"Action=ListQueues", b"Action=X&Version=2012-11-05", b"%", b"a.b.c=1&a=2",
                                  b"Action=ListQueues&Version=2012-11-05&" + b"a." * 20 + b"=1", b"=&=&=", b"%00=%00"])
def test_form_that_is_no_call_is_refused(body):
    with Awssim("--no-auth") as aws:
        status, _, answer = aws.request("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, body)
        assert status == 400 and b"<ErrorResponse" in answer
