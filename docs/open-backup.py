#!/usr/bin/env python3
"""Opens a sealed backup of Backstock without Backstock: plain files for tar, zstd, gzip and mysql.

    pip install 'cryptography>=48'
    python3 open-backup.py [--identity-file FILE] <folder of the backup> <new folder>

<folder of the backup> is the one that holds manifest.json; an export of settings, catalog/settings-….json.bks, may be
named in its place. Without --identity-file the passphrase is asked for (or taken
from BACKSTOCK_PASSPHRASE), and the identity from the folder keys/ beside the backup. What the bytes mean stands in
format.md. Nothing is written that was not proven to be what was sealed. Exit codes: 0 done, 12 wrong key, 13 damaged, 1 else.
"""
import argparse
import base64
import getpass
import hashlib
import hmac
import json
import os
import pathlib
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT, STREAM_HEADER, HEADER_LIMIT, DOCUMENT_LIMIT = 64 << 10, 40, 64 << 10, 16 << 20

class Failure(Exception):
    """What went wrong, and the exit code."""

def require(is_right, text, code=13):
    if not is_right:
        raise Failure(text, code)

def signed_document(path):
    """The JSON of a signed document, and the key that signed it."""
    require(path.stat().st_size <= DOCUMENT_LIMIT, f"{path} is too long")
    lines = path.read_bytes().split(b"\n")
    require(len(lines) == 3 and lines[2] == b"", f"{path} is not a line and its signature")
    document = json.loads(lines[0])
    signature = bytes.fromhex(json.loads(lines[1])["ed25519"])
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["signer"])).verify(signature, lines[0])
    except InvalidSignature:
        raise Failure(f"{path}: its signature is not one of these bytes", 13)
    return document

def fingerprint(identity):
    text = f"backstock identity 1\n{identity['identity']}\n{identity['suite']}\n".encode()
    keys = bytes.fromhex(identity["signer"]) + base64.b64decode(identity["public_key"])
    return hashlib.sha256(text + keys).digest()

def unlock(identity, passphrase):
    """The private key in a slot that the passphrase opens, or None."""
    for slot in identity["slots"]:
        is_ours = slot["kind"] == "argon2id" and 8 << 10 <= slot["memory_kib"] <= 1 << 20
        require(is_ours and slot["passes"] <= 16 and slot["lanes"] <= 8, "a slot asks for what is refused")
        key = Argon2id(salt=bytes.fromhex(slot["salt"]), length=32, iterations=slot["passes"],
                       lanes=slot["lanes"], memory_cost=slot["memory_kib"]).derive(passphrase)
        try:
            sealed = base64.b64decode(slot["sealed"])
            return AESGCM(key).decrypt(bytes.fromhex(slot["nonce"]), sealed, fingerprint(identity))[:32]
        except InvalidTag:
            pass

def private_key(folder, recipients, file):
    """The id of an identity that can open the backup, its suite, and its private key."""
    if file:
        words = json.loads(pathlib.Path(file).read_text())
        require(words["identity"] in recipients, "the backup is sealed for another identity", 12)
        return words["identity"], words["suite"], bytes.fromhex(words["private_key"])
    found = [signed_document(path) for path in (folder.parent / "keys").glob("identity-*.json")]
    newest = {one["identity"]: one for one in sorted(found, key=lambda one: one["version"])}
    for identity in (newest[one] for one in recipients if one in newest and newest[one]["slots"]):
        print(f"identity {identity['identity']}, fingerprint {fingerprint(identity).hex()}", file=sys.stderr)
        key = unlock(identity, (os.environ.get("BACKSTOCK_PASSPHRASE") or getpass.getpass("passphrase: ")).encode())
        require(key is not None, "the passphrase does not open the identity", 12)
        return identity["identity"], identity["suite"], key
    raise Failure(f"keys/ has no identity that a passphrase opens; the backup is sealed for {recipients}", 12)

def data_key(words, identity, suite, private):
    """The key of the backup, out of the header of a part."""
    wrapped = next((key for key in words["recipients"] if key["identity"] == identity), None)
    require(wrapped, "the part is sealed for another identity", 12)
    require(wrapped["suite"] == suite, "the part is sealed with another suite")
    if suite == "x-wing":
        # The seed of an X-Wing key is that of both of its keys (draft-connolly-cfrg-xwing-kem, section 5.2).
        seeds = hashlib.shake_256(private).digest(96)
        key = hpke.MLKEM768X25519PrivateKey(
            MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), X25519PrivateKey.from_private_bytes(seeds[64:]))
        kem = hpke.KEM.MLKEM768_X25519
    else:
        require(suite == "x25519", f"the suite {suite} is not known here", 1)
        key, kem = X25519PrivateKey.from_private_bytes(private), hpke.KEM.X25519
    info = f"backstock data key 1\n{words['backup']}\n{identity}".encode()
    sealed = base64.b64decode(wrapped["encapsulated"]) + base64.b64decode(wrapped["sealed_key"])
    try:
        opened = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM).decrypt(sealed, key, info)
    except Exception:
        raise Failure("the key of the backup does not open with the identity that it was wrapped for", 13)
    commitment = hmac.digest(opened, b"backstock key commitment 1", "sha256")
    require(hmac.compare_digest(commitment.hex(), words["key_commitment"]), "the part is bound to another key")
    return opened

def read_header(file, name):
    """The JSON of a part's header, and the hash of the whole header."""
    start = file.read(20)
    require(len(start) == 20 and start[:8] == b"BKSEALED", f"{name} does not begin as a sealed part does")
    major, length, json_length = struct.unpack("<III", start[8:])
    require(length % 4096 == 0 and 4096 <= length <= HEADER_LIMIT, f"{name} has an impossible header")
    header = start + file.read(length - 20)
    require(hashlib.sha256(header[:-32]).digest() == header[-32:], f"{name}: its header is damaged")
    require(major == 1, f"{name} was made by a newer version", 1)
    words = json.loads(header[32:32 + json_length])
    require(not words["critical"] and words["stream"] == "AES256_GCM_HKDF_64KB", f"{name}: its seal is not known here", 1)
    return words, hashlib.sha256(header).digest()

def open_stream(file, key, header_hash, target, name):
    """Opens the stream behind the header, segment by segment."""
    stream = file.read(STREAM_HEADER)
    require(len(stream) == STREAM_HEADER and stream[0] == STREAM_HEADER, f"{name} has no stream")
    info = b"backstock sealed part 1\n" + header_hash
    cipher = AESGCM(HKDF(hashes.SHA256(), 32, stream[1:33], info).derive(key))
    number, segment = 0, file.read(SEGMENT - STREAM_HEADER)
    while True:
        following = file.read(SEGMENT)
        nonce = stream[33:] + struct.pack(">IB", number, 0 if following else 1)
        try:
            target.write(cipher.decrypt(nonce, segment, None))
        except InvalidTag:
            raise Failure(f"{name} is damaged in segment {number}", 13)
        if not following:
            return
        number, segment = number + 1, following

def proven_parts(folder, manifest):
    """Name, header and beginning of the stream of every part, each being there and the right one."""
    for artifact in manifest["artifacts"]:
        for number, part in enumerate(artifact["parts"], 1):
            name = part["name"]
            require(re.fullmatch(r"(db|files)/[^/]+\.bks", name), f"{name} is no name of a part")
            require((folder / name).is_file(), f"{name} is not there")
            with open(folder / name, "rb") as stored:
                is_right = hashlib.file_digest(stored, "sha256").hexdigest() == part["sha256"]
                require(is_right and stored.seek(0) == 0, f"{name} does not have the hash that the manifest tells")
                words, header_hash = read_header(stored, name)
                place = (words["backup"], words["artifact"], words["part"])
                require(place == (manifest["backup"], artifact["kind"], number), f"{name} is another part")
                yield name, words, header_hash, stored.tell()

def open_backup(folder, target, file):
    if folder.is_file():
        with open(folder, "rb") as stored:
            words, header_hash = read_header(stored, folder.name)
            require(words["artifact"] == "settings", f"{folder} is a part of a backup: name the folder of that")
            parts, folder = [(folder.name, words, header_hash, stored.tell())], folder.parent
        recipients = [key["identity"] for key in words["recipients"]]
    else:
        manifest = signed_document(folder / "manifest.json")
        is_known = manifest["format"]["major"] == 1 and set(manifest["format"]["critical"]) <= {"sealed"}
        require(is_known, "the backup was made by a newer version", 1)
        require(manifest["sealed"], "the backup is not sealed: its files are plain already", 1)
        parts, recipients = list(proven_parts(folder, manifest)), manifest["sealed"]["recipients"]
    identity, suite, private = private_key(folder, recipients, file)
    require(not target.exists(), f"{target} is there already", 1)
    for name, words, header_hash, stream_begins in parts:
        key, opened = data_key(words, identity, suite, private), target / name.removesuffix(".bks")
        opened.parent.mkdir(parents=True, exist_ok=True)
        with open(folder / name, "rb") as stored, open(opened, "xb") as plain:
            stored.seek(stream_begins)
            open_stream(stored, key, header_hash, plain, name)
        if words["artifact"] == "settings":
            signed_document(opened)
        print(opened)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identity-file")
    parser.add_argument("backup", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    given = parser.parse_args()
    try:
        open_backup(given.backup.resolve(), given.target, given.identity_file)
    except Failure as failure:
        print(f"error: {failure.args[0]}", file=sys.stderr)
        sys.exit(failure.args[1])

if __name__ == "__main__":
    main()
