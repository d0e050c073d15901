# SPDX-License-Identifier: Apache-2.0
"""Jobs sent at a steady pace over one or more connections, with the time of each on the machine's clock.

Requests are put together by hand: at 500 a second the libraries for it would take half a core from what is measured.
Each job has its time, which does not wait for the answers to those before it as long as a connection is free."""

import json
import random
import socket
import threading
import time


def now_us():
    return time.time_ns() // 1000


class Wire:
    """A connection that is kept, for one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def close(self):
        self.socket.close()

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("the server has closed the connection")
        self.left += got

    def until(self, end):
        while end not in self.left:
            self.more()
        found, _, self.left = self.left.partition(end)
        return found

    def exactly(self, size):
        while len(self.left) < size:
            self.more()
        found, self.left = self.left[:size], self.left[size:]
        return found

    def post(self, path, headers, body):
        """(status, body) of an HTTP request."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.socket.sendall(head.encode() + body)
        lines = self.until(b"\r\n\r\n").split(b"\r\n")
        fields = dict(line.lower().split(b":", 1) for line in lines[1:])
        return int(lines[0].split()[1]), self.exactly(int(fields.get(b"content-length", b"0")))

    def redis(self, *words):
        """The line that Redis answers with, for commands that have one."""
        texts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts))
        return self.until(b"\r\n")


class Sender:
    """One that is connected; send() gives the id that the job will have, without the queue's name."""

    connections = 1             # what it takes to keep up

    def __init__(self, port):
        self.port = port

    def connect(self):
        return Wire(self.port)


class SqsSender(Sender):
    """To a simulator with --no-auth."""

    def __init__(self, port, queue_url):
        super().__init__(port)
        self.queue_url = queue_url
        self.headers = "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n"

    def send(self, wire, message):
        body = {"QueueUrl": self.queue_url, "MessageBody": json.dumps(message)}
        status, answer = wire.post("/", self.headers, json.dumps(body).encode())
        assert status == 200, answer
        return json.loads(answer)["MessageId"]


class RedisSender(Sender):
    def __init__(self, port, name):
        super().__init__(port)
        self.name = name

    def send(self, wire, message):
        answer = wire.redis("LPUSH", self.name, json.dumps(message))
        assert answer.startswith(b":"), answer
        return message["id"]


class HttpSender(Sender):
    """The answer says that the job is on the disk, so one connection would be as slow as that."""

    connections = 16

    def __init__(self, port, token):
        super().__init__(port)
        self.headers = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    def send(self, wire, message):
        status, answer = wire.post("/v1/jobs", self.headers, json.dumps(message).encode())
        assert status == 202, (status, answer)
        return message["id"]


class Lane(threading.Thread):
    """One connection, and what is to be sent over it: (when, message)."""

    def __init__(self, sender, due):
        super().__init__()
        self.sender, self.due = sender, due
        self.times, self.failure = {}, None

    def run(self):
        try:
            wire = self.sender.connect()
            try:
                for due_s, message in self.due:
                    time.sleep(max(0.0, due_s - time.monotonic()))
                    sent_us = now_us()
                    self.times[self.sender.send(wire, message)] = (sent_us, now_us())
            finally:
                wire.close()
        except Exception as failure:    # raised by send_at_pace(), in the thread that waits
            self.failure = failure


def send_at_pace(sender, message, count, per_s):
    """Sends message(i) for i below count; {id: (when it was sent, when it was accepted)} in microseconds.  The pauses
    vary by half, so that nothing falls into step with a timer."""
    dice, due, due_s = random.Random(per_s), [], time.monotonic()
    for i in range(count):
        due.append((due_s, message(i)))
        due_s += dice.uniform(0.5, 1.5) / per_s
    lanes = [Lane(sender, due[first::sender.connections]) for first in range(sender.connections)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    for lane in lanes:
        if lane.failure is not None:
            raise lane.failure
    return {job: when for lane in lanes for job, when in lane.times.items()}
