"""A stand-in for the AWS Parameters and Secrets Lambda Extension, on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Extension:
    """What the Parameters and Secrets extension says, and what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[tuple[str, str | None]] = []

    @contextmanager
    def serve(self) -> Iterator[int]:
        extension = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("X-Aws-Parameters-Secrets-Token")
                extension.asked.append((self.path, token))
                body = json.dumps({"SecretString": extension.text, "Name": "database"}).encode()
                self.send_response(200 if token == "token" else 401)
                self.end_headers()
                self.wfile.write(body if token == "token" else b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()
