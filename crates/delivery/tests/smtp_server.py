"""A real SMTP server for the delivery tests.

Prints the port it got on the first line, then one JSON line per message it took. Ends when its standard input does, so
that it cannot outlive the test. Recipients choose the answer by their local part: `busy` 451, `gone` 550, `relay`,
`spf` and `quota` what is the sender's to correct, `auth` and `later` what a sign-in may help, `mended` the same as `relay` twice and then 250, `spam` 554 after the content, quoting the link it found there. With `--impatient` it takes leave of a connection that asks whether
it is still there.
"""

import argparse
import asyncio
import collections
import email
import email.policy
import json
import logging
import re
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Handshakes that fail on purpose would fill the test output with tracebacks.
logging.disable()
warnings.simplefilter("ignore")

REFUSALS = {
    "busy": "451 4.3.2 Busy, try again later",
    "gone": "550 5.1.1 No such user here",
    "relay": "554 5.7.1 Relay access denied",
    "auth": "503 5.5.1 Error: authentication required",
    "later": "454 4.7.1 Relay access denied",
    "spf": "550 5.7.23 SPF validation failed",
    "quota": "550 5.4.5 Daily user sending quota exceeded",
}


class Handler:
    def __init__(self, impatient):
        self.impatient = impatient
        self.refused = collections.Counter()

    async def handle_NOOP(self, server, session, envelope, argument):
        return "421 4.4.2 Idle too long, closing" if self.impatient else "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        refusal = REFUSALS.get(name)
        if name == "mended" and self.refused[name] < 2:
            self.refused[name] += 1
            refusal = REFUSALS["relay"]
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("stranger@"):
            return "553 5.7.1 Sender address not owned by you"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        if envelope.rcpt_tos[0].startswith("spam@"):
            link = re.search(r"https://\S+", message.get_body(("plain",)).get_content())
            return f"554 5.7.1 Blocked for {link.group()}"
        report = {
            "connection": session.peer[1],
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "mail_from": envelope.mail_from,
            "rcpt_tos": envelope.rcpt_tos,
            "headers": {name: str(value) for name, value in message.items()},
            "parts": [
                {
                    "type": part.get_content_type(),
                    "charset": part.get_content_charset(),
                    "content": part.get_content(),
                }
                for part in message.iter_parts()
            ],
            "raw": envelope.content.decode("utf-8"),
        }
        print(json.dumps(report), flush=True)
        return "250 OK"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--implicit", action="store_true", help="TLS from the first byte")
    parser.add_argument("--username")
    parser.add_argument("--password")
    parser.add_argument("--utf8", action="store_true", help="take addresses outside ASCII")
    parser.add_argument("--impatient", action="store_true", help="answer NOOP by closing")
    arguments = parser.parse_args()

    tls = None
    if arguments.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.certificate, arguments.key)

    def authenticate(server, session, envelope, mechanism, data):
        right = (arguments.username.encode(), arguments.password.encode())
        return AuthResult(success=(data.login, data.password) == right, handled=False)

    # One for all connections: it counts what it refused.
    handler = Handler(arguments.impatient)

    def protocol():
        starttls = tls is not None and not arguments.implicit
        return SMTP(
            handler,
            hostname="localhost",
            enable_SMTPUTF8=arguments.utf8,
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate if arguments.username else None,
            auth_required=arguments.username is not None,
            auth_require_tls=starttls,
            timeout=60,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if arguments.implicit else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
