# SPDX-License-Identifier: Apache-2.0
"""awssim takes what is signed rightly and says in AWS's words what is wrong with the rest; its
sources of credentials hand out sessions that end."""

import calendar
import glob
import http.client
import json
import os
import re
import socket
import sys
import time
import urllib.parse

import botocore.exceptions
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "awssim"))
from awssim import Awssim, AwsError  # noqa: E402

VECTORS = os.path.join(os.path.dirname(__file__), "..", "data", "sigv4")
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture
def aws():
    with Awssim("--queue", "jobs") as sim:
        yield sim


def refused(call, *arguments, **members):
    with pytest.raises(AwsError) as caught:
        call(*arguments, **members)
    return caught.value


@pytest.mark.parametrize("service, status", [("sqs", 403), ("ecs", 400)])
@pytest.mark.parametrize("signing, code, query_code", [
    ({"secret": "wrong"}, "InvalidSignatureException", "SignatureDoesNotMatch"),
    ({"access_key": "AKIDNOBODY"}, "UnrecognizedClientException", "InvalidClientTokenId"),
    ({"token": "made up"}, "UnrecognizedClientException", "InvalidClientTokenId"),
    ({"scope": "s3"}, "InvalidSignatureException", "SignatureDoesNotMatch"),
])
def test_wrong_signature_is_refused_by_its_code(aws, service, status, signing, code, query_code):
    action = {"sqs": "ListQueues", "ecs": "DescribeClusters"}[service]
    error = refused(aws.call, service, action, {}, **signing)
    assert (error.status, error.code) == (status, code)
    assert error.query_code == (f"{query_code};Sender" if service == "sqs" else None)
    assert aws.call(service, action, {})


def changed(aws, change, body=b"{}"):
    """The code that a request gets which was changed after it was signed."""
    headers = aws.signed_headers("sqs", "ListQueues", body)
    request = {"path": "/", "headers": headers, "body": body}
    change(request)
    status, _, answer = aws.request("POST", request["path"], request["headers"], request["body"])
    return "ok" if status == 200 else json.loads(answer)["__type"].split("#")[1]


@pytest.mark.parametrize("name, change", [
    ("body", lambda r: r.update(body=b'{"QueueNamePrefix":"x"}')),
    ("path", lambda r: r.update(path="/other")),
    ("query", lambda r: r.update(path="/?a=b")),
    ("action", lambda r: r["headers"].update({"X-Amz-Target": "AmazonSQS.PurgeQueue"})),
    ("host", lambda r: r["headers"].update({"Host": "sqs.us-east-1.amazonaws.com"})),
    ("header of AWS that is not signed", lambda r: r["headers"].update({"X-Amz-Extra": "1"})),
])
def test_what_was_changed_after_signing_is_noticed(aws, name, change):
    assert changed(aws, lambda r: None) == "ok"
    assert changed(aws, change) == "InvalidSignatureException"


def test_headers_that_proxies_change_need_no_signature(aws):
    assert changed(aws, lambda r: r["headers"].update(
        {"User-Agent": "x", "X-Amzn-Trace-Id": "y", "Accept": "*/*"})) == "ok"


def test_missing_and_incomplete_signatures(aws):
    assert changed(aws, lambda r: r["headers"].pop("Authorization")) == "MissingAuthenticationTokenException"
    assert changed(aws, lambda r: r["headers"].update(
        Authorization="AWS4-HMAC-SHA256 Credential=a/b")) == "IncompleteSignatureException"
    assert changed(aws, lambda r: r["headers"].update(Authorization="Basic eA==")) == "IncompleteSignatureException"


@pytest.mark.parametrize("skew_s, words", [(290, None), (-290, None), (310, "Signature expired"),
                                           (-310, "Signature not yet current")])
def test_clock_may_be_five_minutes_off(aws, skew_s, words):
    aws.admin("POST", "/_admin/clock", skew_s=skew_s)
    if words is None:
        aws.sqs("ListQueues")
        return
    error = refused(aws.sqs, "ListQueues")
    assert error.code == "InvalidSignatureException" and words in error.message
    assert re.search(r"5 min\.\)", error.message)


def test_date_header_shows_the_skewed_clock(aws):
    aws.admin("POST", "/_admin/clock", skew_s=3600)
    _, headers, _ = aws.request("GET", "/_health")
    shown = calendar.timegm(time.strptime(headers["Date"], "%a, %d %b %Y %H:%M:%S GMT"))
    assert abs(shown - time.time() - 3600) < 5


def test_no_auth_takes_anything():
    with Awssim("--no-auth") as aws:
        status, _, _ = aws.request("POST", "/", {"Content-Type": "application/x-amz-json-1.0",
                                                 "X-Amz-Target": "AmazonSQS.ListQueues"}, b"{}")
        assert status == 200


def vector(directory):
    def read(name):
        with open(os.path.join(directory, name), "rb") as file:
            return file.read()
    context = json.loads(read("context.json"))
    head, _, body = read("request.txt").partition(b"\n\n")
    return context, head.decode().split("\n"), body, read("header-signature.txt").decode().strip(), \
        read("header-canonical-request.txt").decode()


@pytest.mark.parametrize("directory", sorted(glob.glob(VECTORS + "/*")), ids=os.path.basename)
def test_signature_vectors_are_taken_as_they_are_and_refused_when_changed(directory):
    context, lines, body, signature, canonical = vector(directory)
    credentials = context["credentials"]
    key = [credentials["access_key_id"], credentials["secret_access_key"], credentials.get("token")]
    signed = canonical.split("\n")[-2]
    stamp = context["timestamp"].replace("-", "").replace(":", "")
    scope = f"{stamp[:8]}/{context['region']}/{context['service']}/aws4_request"
    lines += [f"X-Amz-Date:{stamp}", f"Content-Length:{len(body)}"]
    if key[2]:
        lines.append(f"X-Amz-Security-Token:{key[2]}")
    with Awssim("--key", ":".join(filter(None, key))) as aws:
        now = calendar.timegm(time.strptime(context["timestamp"], "%Y-%m-%dT%H:%M:%SZ"))
        aws.admin("POST", "/_admin/clock", skew_s=now - int(time.time()))
        for given in (signature, signature[:-1] + ("0" if signature[-1] != "0" else "1")):
            authorization = (f"Authorization:AWS4-HMAC-SHA256 Credential={key[0]}/{scope}, "
                             f"SignedHeaders={signed}, Signature={given}")
            with socket.create_connection(("127.0.0.1", aws.port)) as connection:
                connection.sendall("\r\n".join([*lines, authorization, "", ""]).encode() + body)
                response = http.client.HTTPResponse(connection)
                response.begin()
                answer = response.read()
            refusal = b"SignatureDoesNotMatch" in answer or b"InvalidSignature" in answer
            assert refusal == (given != signature), answer


def imds_token(aws, ttl="60"):
    status, _, token = aws.request("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": ttl})
    return status, {"x-aws-ec2-metadata-token": token.decode()}


def session_of(credentials, token="Token"):
    return {"access_key": credentials["AccessKeyId"], "secret": credentials["SecretAccessKey"],
            "token": credentials[token]}


def test_instance_metadata_needs_its_token(aws):
    assert aws.request("GET", ROLE_PATH)[0] == 401
    assert imds_token(aws, "0")[0] == 400
    status, headers = imds_token(aws)
    assert status == 200
    assert aws.request("GET", ROLE_PATH, headers)[2] == b"awssim-role"
    assert aws.request("GET", "/latest/meta-data/placement/region", headers)[2] == b"us-east-1"
    aws.advance(61)
    assert aws.request("GET", ROLE_PATH, headers)[0] == 401


def test_sessions_of_instance_metadata_sign_until_they_end(aws):
    _, headers = imds_token(aws)
    credentials = json.loads(aws.request("GET", ROLE_PATH + "awssim-role", headers)[2])
    assert credentials["Code"] == "Success"
    expires = calendar.timegm(time.strptime(credentials["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 3590 < expires - time.time() < 3610
    aws.call("sqs", "ListQueues", {}, **session_of(credentials))
    aws.advance(3601)
    error = refused(aws.call, "sqs", "ListQueues", {}, **session_of(credentials))
    assert (error.code, error.query_code) == ("ExpiredTokenException", "ExpiredToken;Sender")


def test_session_without_its_token_is_nobody(aws):
    credentials = json.loads(aws.request("GET", "/creds")[2])
    session = session_of(credentials)
    del session["token"]
    assert refused(aws.call, "sqs", "ListQueues", {}, **session).code == "UnrecognizedClientException"


def test_container_endpoint_wants_the_token_it_was_told(aws):
    aws.admin("POST", "/_admin/credentials", container_token="open sesame", life_s=100)
    assert aws.request("GET", "/creds")[0] == 401
    status, _, body = aws.request("GET", "/creds", {"Authorization": "open sesame"})
    assert status == 200
    session = session_of(json.loads(body))
    aws.call("ecs", "DescribeClusters", {}, **session)
    aws.admin("POST", "/_admin/credentials", expire=True)
    error = refused(aws.call, "ecs", "DescribeClusters", {}, **session)
    assert (error.status, error.code) == (400, "ExpiredTokenException")
    fresh = json.loads(aws.request("GET", "/creds", {"Authorization": "open sesame"})[2])
    assert fresh["AccessKeyId"] != session["access_key"]


def test_metadata_can_fail(aws):
    aws.fault(action="ContainerCredentials", kind="error", status=503, code="Unavailable", message="later")
    status, _, body = aws.request("GET", "/creds")
    assert (status, json.loads(body)) == (503, {"Code": "Unavailable", "Message": "later"})
    assert aws.request("GET", "/creds")[0] == 200
    aws.fault(action="IMDSToken", kind="drop_before")
    with pytest.raises((OSError, http.client.HTTPException)):
        imds_token(aws)


def test_assumed_roles_sign_and_end(aws):
    sts = aws.client("sts")
    assert sts.get_caller_identity()["Account"] == "000000000000"
    role = {"RoleArn": "arn:aws:iam::000000000000:role/x", "RoleSessionName": "me"}
    credentials = sts.assume_role(**role, DurationSeconds=900)["Credentials"]
    assert 890 < credentials["Expiration"].timestamp() - time.time() < 910
    session = session_of(credentials, "SessionToken")
    aws.call("sqs", "ListQueues", {}, **session)
    aws.advance(901)
    assert refused(aws.call, "sqs", "ListQueues", {}, **session).code == "ExpiredTokenException"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        aws.client("sts", secret="wrong").assume_role(**role)
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_web_identity_needs_no_signature_but_its_token(aws):
    form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleSessionName": "me",
            "RoleArn": "arn:aws:iam::000000000000:role/x", "WebIdentityToken": "good"}
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    aws.admin("POST", "/_admin/credentials", web_identity_token="good")
    status, _, answer = aws.request("POST", "/", headers, urllib.parse.urlencode(form))
    assert status == 200 and b"<SessionToken>" in answer
    status, _, answer = aws.request("POST", "/", headers,
                                    urllib.parse.urlencode({**form, "WebIdentityToken": "bad"}))
    assert status == 400 and b"<Code>InvalidIdentityToken</Code>" in answer
