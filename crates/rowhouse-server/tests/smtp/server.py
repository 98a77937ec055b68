"""A mail server for tests, on loopback: aiosmtpd, with the moods that servers have.

    server.py PORT MOOD LOG [starttls|tls CERTIFICATE KEY]

MOOD is accept, 4xx (not now), 5xx (never) or slow (answers to DATA after a minute). Each message it is given becomes a line
of JSON in LOG, also one that it refuses. With a certificate it insists on TLS, by STARTTLS or from the first byte on, and on the password "wall"
of "rowhouse".
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, mood, log = int(sys.argv[1]), sys.argv[2], sys.argv[3]
tls, context = None, None
if len(sys.argv) > 4:
    tls = sys.argv[4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[5], sys.argv[6])


class Handler:
    async def handle_DATA(self, server, session, envelope):
        with open(log, "a") as lines:
            lines.write(json.dumps({
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": envelope.original_content.decode(),
                "tls": server.transport.get_extra_info("sslcontext") is not None,
                "user": session.auth_data and session.auth_data.login.decode(),
                "mood": mood,
            }) + "\n")
        if mood == "4xx":
            return "451 4.3.0 <%s> not now" % envelope.rcpt_tos[0]
        if mood == "5xx":
            return "550 5.1.1 <%s> is nobody here" % envelope.rcpt_tos[0]
        if mood == "slow":
            await asyncio.sleep(60)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    fits = (data.login, data.password) == (b"rowhouse", b"wall")
    return AuthResult(success=fits, handled=fits, auth_data=data)


def factory():
    return SMTP(
        Handler(),
        enable_SMTPUTF8=True,
        tls_context=context if tls == "starttls" else None,
        require_starttls=tls == "starttls",
        auth_required=context is not None,
        auth_require_tls=tls == "starttls",  # it does not see TLS that was there before it
        authenticator=authenticate,
        hostname="localhost",
    )


async def main():
    wrapped = context if tls == "tls" else None
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", port, ssl=wrapped)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
