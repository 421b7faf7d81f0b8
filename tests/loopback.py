"""Servers on this machine, for tests of what is fetched."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """A server on this machine that sends one file as its attributes say, and keeps the headers of each request."""

    def __init__(self, content: bytes = b"") -> None:
        self.content, self.etag, self.ranges, self.cuts, self.status = content, '"one"', True, 0, 200
        self.redirect: str | None = None
        self.encoding: str | None = None
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append({name.lower(): value for name, value in self.headers.items()})
                outer.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def url(self, file: str = "data.bin") -> str:
        return f"http://127.0.0.1:{self.port}/{file}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.redirect:
            handler.send_response(302)
            handler.send_header("Location", self.redirect)
            handler.end_headers()
            return
        if self.status != 200:
            handler.send_response(self.status)
            handler.end_headers()
            return
        start = self._start(handler)
        if start >= len(self.content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.content)}")
            handler.end_headers()
            return
        self._send(handler, start)

    def _start(self, handler: BaseHTTPRequestHandler) -> int:
        wanted = handler.headers.get("Range")
        same = handler.headers.get("If-Range") in (None, self.etag)
        return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges and same else 0

    def _send(self, handler: BaseHTTPRequestHandler, start: int) -> None:
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.send_header("ETag", self.etag)
        if self.encoding:
            handler.send_header("Content-Encoding", self.encoding)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.end_headers()
        body = self.content[start:]
        if self.cuts:
            self.cuts -= 1
            body = body[: len(body) // 2]
        # Who finds the file too large hangs up.
        with suppress(ConnectionError):
            handler.wfile.write(body)
