# SPDX-License-Identifier: Apache-2.0
"""Whoever is told: an HTTP receiver and mail servers on free ports of 127.0.0.1."""

import email
import email.policy
import http.server
import json
import socketserver
import ssl
import subprocess
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Post:
    """One request as it came."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.raw = path, headers, body
        self.id = headers.get("webhook-id")
        self.json = json.loads(body)


class Receiver:
    """Answers posts as answers[path] says: a status, or a function of the post that gives (status, headers, body).
    None: no answer before hold is set."""

    def __init__(self, port=0):
        self.posts, self.answers, self.hold = [], {}, threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                post = Post(self.path, dict((k.lower(), v) for k, v in self.headers.items()), body)
                answer = receiver.answers.get(self.path, 200)
                receiver.posts.append(post)
                if answer is None:
                    receiver.hold.wait(60)
                    answer = 200
                status, headers, text = answer(post) if callable(answer) else (answer, {}, b"")
                try:
                    if status == 0:
                        self.wfile.write(text)
                        self.close_connection = True
                        return
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def to(self, path):
        return [post for post in self.posts if post.path == path]

    def stop(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """As much of SMTP as a client needs; mails are (sender, recipients, message).  No mail has an answer before hold is
    set, as it is unless somebody clears it."""

    def __init__(self):
        self.mails, self.raw, self.refused, self.hold = [], [], set(), threading.Event()
        self.hold.set()
        mail_server = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def take_data(self):
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return b"".join(lines)

            def handle(self):
                sender, to = None, []
                self.say("220 test ESMTP")
                for line in self.rfile:
                    words = line.decode().strip()
                    verb = words.split(" ")[0].split(":")[0].upper()
                    if verb == "EHLO":
                        self.say("250-test\r\n250 8BITMIME")
                    elif verb == "MAIL":
                        sender, to = words.split(":", 1)[1].split()[0], []
                        self.say("250 ok")
                    elif verb == "RCPT":
                        address = words.split(":", 1)[1].split()[0]
                        if address in mail_server.refused:
                            self.say("550 no such user")
                            continue
                        to.append(address)
                        self.say("250 ok")
                    elif verb == "DATA":
                        raw = self.take_data()
                        mail_server.raw.append(raw)
                        mail_server.mails.append((sender, to, email.message_from_bytes(raw, policy=email.policy.default)))
                        mail_server.hold.wait(300)
                        self.say("250 taken")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


def make_certificate(directory, name):
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True, timeout=60)
    return certificate, key


class SecureMailServer:
    """A mail server (aiosmtpd) that takes mail of one user only, over TLS only: begun by STARTTLS, or from the first byte.
    logins are (user, password) of each try to log in."""

    def __init__(self, port, certificate, user, password, from_the_first_byte=False):
        self.mails, self.logins = [], []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

        def authenticate(server, session, envelope, mechanism, login):
            tried = (login.login.decode(), login.password.decode())
            self.logins.append(tried)
            return AuthResult(success=tried == (user, password), handled=False)

        tls = {"ssl_context": context, "auth_require_tls": False} if from_the_first_byte else {
            "tls_context": context, "require_starttls": True}
        self.controller = Controller(self, hostname="127.0.0.1", port=port, ready_timeout=60, authenticator=authenticate,
                                     auth_required=True, **tls)
        self.controller.start()
        self.url = f"{'smtps' if from_the_first_byte else 'smtp'}://127.0.0.1:{port}"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def stop(self):
        self.controller.stop()
