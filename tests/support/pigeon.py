"""The backend of ``docs/howto/backend.md``, and a gateway at the other end that speaks HTTP and can fail."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

from django_twilio_verify.core.recipients import Recipient

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
KEY = "feathers"


def _of_the_docs(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("howto_pigeon", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PigeonBackend: Any = _of_the_docs(HOWTO / "pigeon.py").PigeonBackend


class TwoSends(PigeonBackend):
    """Three answers to two messages."""

    max_sends = 2
    max_checks = 3


class Pigeon:
    """The gateway: one POST a message. ``sent`` holds what it took, ``asked`` counts what reached it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.asked = 0
        self.meanwhile: Callable[[], None] | None = None
        """Called once, with a request under way, before it is answered."""
        self._faults: list[str] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                gateway.take(self, body)

            def log_message(self, *args: Any) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Pigeon:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def options(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self._server.server_port}/messages", "key": KEY, "timeout": 2.0}

    def setting(self, backend: str = "PigeonBackend", **options: Any) -> dict[str, Any]:
        """A value of ``TWILIO_VERIFY_BACKENDS``."""
        return {
            "default": {
                "BACKEND": backend if "." in backend else f"{__name__}.{backend}",
                "OPTIONS": {**self.options, **options},
            }
        }

    def fail(self, *faults: str) -> None:
        """Make the next requests fail, one after the other.

        ``refuse:<reason>``; ``500``: it says that it is down; ``lost``: it sends, and the connection breaks before the
        answer; ``slow``: it sends, and answers too late; ``garbled``: it sends, and answers what is no JSON.
        """
        self._faults += faults

    def take(self, request: BaseHTTPRequestHandler, message: dict[str, str]) -> None:
        self.asked += 1
        if (act := self.meanwhile) is not None:
            self.meanwhile = None
            act()
        fault = self._faults.pop(0) if self._faults else ""
        if request.headers["Authorization"] != f"Bearer {KEY}":
            return _answer(request, 401, {"refused": "bad_key"})
        if fault.startswith("refuse:") or len(message["to"]) < 8:
            return _answer(request, 422, {"refused": fault.partition(":")[2] or "bad_number"})
        if fault == "500":
            return _answer(request, 503, {})
        self.sent.append(message)
        if fault == "lost":
            request.connection.shutdown(socket.SHUT_RDWR)
            return None
        if fault == "slow":
            time.sleep(2.5)
        return _answer(request, 200, None if fault == "garbled" else {"id": f"pigeon-{len(self.sent)}-" + "0" * 130})

    @property
    def codes(self) -> list[str]:
        return [re.findall(r"\b[0-9A-Za-z]*\d[0-9A-Za-z]*\b", message["text"])[0] for message in self.sent]

    def last_code(self, recipient: Recipient) -> str:
        return next(
            code
            for code, message in reversed(list(zip(self.codes, self.sent, strict=True)))
            if message["to"] == recipient.value
        )


def _answer(request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    content = b"coo" if body is None else json.dumps(body).encode()
    try:
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
    except OSError:
        # Whoever asked has stopped waiting, as the test wants it.
        request.close_connection = True
