# Starts aiosmtpd on a port of loopback; each message that it takes becomes a file NUMBER.json, read by
# Python's own reader of mail.
#
#   python3 start_mail.py PORT FOLDER none|starttls|tls CERTIFICATE KEY USER PASSWORD
#
# With a user it takes nothing before somebody signs in. Whom a message is for decides what becomes of it: gone@… is refused for good,
# busy@… for now; from shut@… the connection is ended.

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, folder, encryption, certificate, key, user, password = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


class Taker:
    count = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("shut@"):
            return "421 4.3.2 the service is shutting down"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy@"):
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Taker.count += 1
        is_encrypted = encryption == "tls" or session.ssl is not None
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        told = {
            "is_encrypted": is_encrypted,
            "to": envelope.rcpt_tos,
            "subject": message["Subject"],
            "text": message.get_content(),
            "raw": envelope.content.decode(),
        }
        path = os.path.join(folder, f"{Taker.count:05}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(told, file)
        os.rename(path, path + ".json")
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login.decode(), data.password.decode()) == (user, password)
    # Some servers repeat what they were sent: nobody may print it.
    return AuthResult(success=is_right, handled=False, message=None if is_right else f"535 5.7.8 not {data.password.decode()}")


def session():
    return SMTP(
        Taker(),
        hostname="mail.test",
        tls_context=context if encryption == "starttls" else None,
        require_starttls=encryption == "starttls",
        authenticator=authenticate if user else None,
        auth_required=bool(user),
        auth_require_tls=False,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", int(port), ssl=context if encryption == "tls" else None
    )
    await server.serve_forever()


asyncio.run(serve())
