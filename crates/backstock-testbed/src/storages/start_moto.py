# Starts moto on a port of loopback with the buckets of the tests, and teaches it what Amazon's reference says of versions and
# Object Lock and moto does not do: GetObjectRetention; PutObjectRetention wants Content-MD5, a time to come, and shortens nothing;
# where versions are suspended, the newest entry of a key is called "null", and those of before stay.
#
#   python3 start_moto.py PORT KEYS VERSIONS    the bucket "many" gets so many keys with so many versions each

import base64
import functools
import hashlib
import re
import sys

from moto.core.utils import utcnow
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.server import main

FORM = "%Y-%m-%dT%H:%M:%SZ"
HEADERS = {"content-type": "application/xml"}


def error(status, code, message):
    return status, HEADERS, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


def retention(response, body):
    """Answers ?retention: with a body it is a PUT."""
    backend, bucket = response.backend, response.backend.get_bucket(response.bucket_name)
    version = response.querystring.get("versionId", [None])[0]
    if not bucket.object_lock_enabled:
        return error(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
    key = backend.get_object(response.bucket_name, response.parse_key_name(), version_id=version)
    if key is None:
        return error(404, "NoSuchVersion" if version else "NoSuchKey", "The specified version does not exist.")
    if body is None:
        if not key.lock_until:
            return error(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
        return 200, HEADERS, f"<Retention><Mode>{key.lock_mode}</Mode><RetainUntilDate>{key.lock_until}</RetainUntilDate></Retention>"
    digest = response.headers.get("Content-MD5")
    if digest is None:
        return error(400, "InvalidRequest", "Content-MD5 HTTP header is required for Put Object requests with Object Lock parameters")
    if digest != base64.b64encode(hashlib.md5(body).digest()).decode():
        return error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    text = body.decode()
    mode, until = (re.search(f"<{name}>([^<]+)</{name}>", text).group(1) for name in ("Mode", "RetainUntilDate"))
    now = utcnow().strftime(FORM)
    if until <= now:
        return error(400, "InvalidArgument", "The retain until date must be in the future!")
    is_locked = key.lock_until and key.lock_until > now
    if is_locked and (until < key.lock_until or mode != key.lock_mode):
        return error(403, "AccessDenied", "Access Denied because object protected by object lock.")
    key.lock_mode, key.lock_until = mode, until
    return 200, {}, ""


def with_retention(method, has_body):
    @functools.wraps(method)
    def answer(self, query, key_name):
        if "retention" in query:
            return retention(self, (self.body or b"") if has_body else None)
        return method(self, query, key_name)

    return answer


def when_suspended(method):
    @functools.wraps(method)
    def act(self, bucket_name, key_name, *rest, **named):
        made, bucket = method(self, bucket_name, key_name, *rest, **named), self.get_bucket(bucket_name)
        if bucket.versioning_status == "Suspended":
            *before, newest = bucket.keys.getlist(key_name)
            newest._version_id = "null"
            bucket.keys.setlist(key_name, [entry for entry in before if entry.version_id != "null"] + [newest])
        return made

    return act


S3Response._key_response_get = with_retention(S3Response._key_response_get, False)
S3Response._key_response_put = with_retention(S3Response._key_response_put, True)
S3Backend.put_object = when_suspended(S3Backend.put_object)
S3Backend._set_delete_marker = when_suspended(S3Backend._set_delete_marker)
FakeBucket.is_versioned = property(lambda bucket: bucket.versioning_status in ("Enabled", "Suspended"))

port, keys, versions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
backend = s3_backends["123456789012"]["aws"]
for name in ("plain", "versions", "locks", "many"):
    bucket = backend.create_bucket(name, "us-east-1")
    if name != "plain":
        bucket.versioning_status = "Enabled"
    bucket.object_lock_enabled = name == "locks"
for number in range(keys):
    for version in range(versions):
        backend.put_object("many", f"{number:05}+ü x", b"12345" if version == 0 else b"planted")
main(["-H", "127.0.0.1", "-p", port])
