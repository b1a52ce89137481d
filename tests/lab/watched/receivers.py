"""Slack, PagerDuty and a mail server for one Alertmanager: they keep what they get, and show it.

Run as a script in a pod, with the port of HTTP, that of SMTP, and a certificate with its key.
"""

import asyncio
import base64
import email
import json
import ssl
import sys
from collections.abc import Callable
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEPT: list[dict[str, Any]] = []
PASSWORDS = {"ferry": "a password"}


class Web(BaseHTTPRequestHandler):
    """What is posted to /slack or /pagerduty is kept; / shows everything."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        KEPT.append({"receiver": self.path.strip("/"), "body": body})
        self._answer(b"ok")

    def do_GET(self) -> None:
        self._answer(json.dumps(KEPT).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def mail(tls: ssl.SSLContext) -> Callable[..., Any]:
    """A server of SMTP that takes messages after STARTTLS and a login, as RFC 3207 and 4954."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        secure = known = False
        say("220 receivers ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper(), secure, known:
                case "EHLO", False, _:
                    say("250-receivers\r\n250 STARTTLS")
                case "EHLO", True, _:
                    say("250-receivers\r\n250 AUTH PLAIN")
                case "STARTTLS", False, _:
                    say("220 go on")
                    await writer.drain()
                    await writer.start_tls(tls)
                    secure = True
                case "AUTH", True, _:
                    known = _known(rest)
                    say("235 welcome" if known else "535 no")
                case (("MAIL" | "RCPT"), _, True):
                    say("250 ok")
                case "DATA", _, True:
                    say("354 go on")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    KEPT.append({"receiver": "email", "body": _read(text[:-5])})
                    say("250 kept")
                case "QUIT", _, _:
                    say("221 bye")
                    break
                case _:
                    say("530 first STARTTLS, then AUTH")
            await writer.drain()
        writer.close()

    return session


def _known(rest: str) -> bool:
    kind, _, given = rest.partition(" ")
    if kind != "PLAIN":
        return False
    _, name, password = base64.b64decode(given).decode().split("\0")
    return PASSWORDS.get(name) == password


def _read(text: bytes) -> dict[str, Any]:
    message = email.message_from_bytes(text, policy=default)
    return {"subject": message["Subject"], "to": message["To"], "from": message["From"]}


async def main(http: int, smtp: int, certificate: str, key: str) -> None:
    """Serves until the process ends."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    web = ThreadingHTTPServer(("", http), Web)
    Thread(target=web.serve_forever, daemon=True).start()
    server = await asyncio.start_server(mail(tls), port=smtp)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
