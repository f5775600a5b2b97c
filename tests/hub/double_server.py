"""The HTTP of the local double of the Hub: two origins, a log of what they are sent, and faults that happen."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from double_faults import (
    Answer,
    Before,
    Corrupt,
    Cut,
    Drip,
    Faults,
    Late,
    LostAnswer,
    Request,
    Silent,
    Slow,
    Status,
    error,
)
from double_repos import Refused

CHUNK = 2**16


class Origin(ThreadingHTTPServer):
    """One of the two origins: accepts connections on a free port of this machine until it is closed."""

    daemon_threads = True
    request_queue_size = 128  # several processes connect at once, each with many threads

    def __init__(
        self,
        name: Literal["hub", "storage"],
        answer: Callable[[Request], Answer],
        log: list[Request],
        faults: Faults,
    ) -> None:
        self.name, self.answer, self.log, self.faults = name, answer, log, faults
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.socket.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept, name=f"double {name}", daemon=True)
        self.acceptor.start()

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # that of HTTPServer asks the DNS for this machine's name

    def _accept(self) -> None:
        while not self.closing.is_set():
            self.handle_request()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.connections[request] = threading.current_thread()
            if self.closing.is_set():
                request.close()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.lock:
                self.connections.pop(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is a mistake of the double, and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """End every connection, wait for the threads that served them, and free the port."""
        self.closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()  # wakes the thread that accepts
        self.acceptor.join(5)
        with self.lock:
            open_now = dict(self.connections)
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_now.values():
            if thread is not threading.current_thread():  # a fault may close the double
                thread.join(5)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Reads a request, has it answered by its origin, and lets faults happen."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together
    server: Origin

    def do(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            self.server.name,
            self.command,
            unquote(parts.path),
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            raw=parts.path,
            asked=parts.query,
        )
        self.server.log.append(request)
        fault = self.server.faults.take(request, of_content=False)
        if isinstance(fault, Silent):
            self.server.closing.wait()
            return self.drop()
        if isinstance(fault, Drip):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not self.server.closing.wait(0.2):
                self.wfile.write(b"x")
                self.wfile.flush()
            return self.drop()
        length = int(self.headers.get("Content-Length") or 0)
        if isinstance(fault, Cut):
            self.rfile.read(length // 2)
            return self.drop(fault.reset)
        request.body = self.read_chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.read(length)
        if isinstance(fault, Before):
            fault.action()
        if isinstance(fault, Late):
            fault.go.wait(30)
        try:
            if isinstance(fault, Status):
                raise Refused(fault.status, fault.message, fault.code)
            answer = self.server.answer(request)
        except Refused as refused:
            answer = error(refused)
            if isinstance(fault, Status) and fault.retry_after is not None:
                answer.headers["Retry-After"] = str(fault.retry_after)
        if isinstance(fault, (LostAnswer, Late)):
            return self.drop()
        self.send(request, answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do

    def read(self, length: int) -> bytes:
        """So many bytes. Raises :class:`ConnectionError` where the client has gone before it sent them."""
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client has gone")
        return body

    def read_chunks(self) -> bytes:
        """A body that comes in chunks, since the client did not know its length."""
        body = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            body += self.read(size)
            self.read(2)
        self.read(2)
        return body

    def send(self, request: Request, answer: Answer) -> None:
        content, length = answer.body, len(answer.body)
        holds_content = self.command != "HEAD" and answer.status in (200, 206) and length > 0
        fault = self.server.faults.take(request, of_content=True) if holds_content else None
        request.status = answer.status
        if not holds_content:
            request.file = None
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(fault, Corrupt):
            middle = length // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if isinstance(fault, Slow):
            return self.trickle(content, fault.rate)
        stop = length // 2 if isinstance(fault, Cut) else length
        for start in range(0, stop, CHUNK):
            self.wfile.write(content[start : min(stop, start + CHUNK)])
        if isinstance(fault, Cut):
            request.file = None
            self.wfile.flush()
            self.drop(fault.reset)

    def trickle(self, content: Any, rate: float) -> None:
        step = max(1, int(rate / 20))
        began = time.monotonic()
        for start in range(0, len(content), step):
            self.wfile.write(content[start : start + step])
            self.wfile.flush()
            if self.server.closing.wait(max(0, began + (start + step) / rate - time.monotonic())):
                return self.drop()

    def drop(self, reset: bool = False) -> None:
        """Close the connection, with a reset if asked."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for end in (self.rfile, self.wfile, self.connection):
                end.close()
            self.wfile = io.BytesIO()  # the base class flushes it once more

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the log is in ``Double.requests``."""
