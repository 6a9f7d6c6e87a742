"""A Hugging Face Hub, an Ollama registry and a plain file server in one, on 127.0.0.1, with faults
to order: each maps a part of a path to functions that answer requests for it, one after the other
(the last one stays)."""

import hashlib
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def status(code, headers=None, body=b""):
    """A fault: this status."""

    def answer(handler, _content):
        handler.reply(code, body, headers)

    return answer


def cut_after(count):
    """A fault: the right header, then `count` bytes and the end of the connection."""

    def answer(handler, content):
        begin, end = handler.range_of(content)
        handler.head(206 if handler.headers["Range"] else 200, content, begin, end)
        handler.wfile.write(content[begin : min(end, begin + count)])
        handler.close_connection = True

    return answer


def serve(handler, content):
    """No fault: ranges, conditions and all."""
    handler.serve(content)


def without_ranges(handler, content):
    handler.reply(200, content, {"ETag": f'"{sha256(content)}"'})


class Server:
    def __init__(self, certificate=None):
        """`certificate`: paths of a PEM certificate and its key; serves HTTPS then."""
        self.repository = {}  # path: content; large ones are as if in LFS
        self.layers = []  # (media type, content)
        self.files = {}  # path of a URL: content
        self.faults = {}  # part of a path: list of answers
        self.log = []  # (path, headers)
        self.large = 1000
        self.listing = None  # replaces the list of files
        self.changed = threading.Lock()
        hub = self

        class Handler(RequestHandler):
            server_state = hub

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.address = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake belongs to the thread of the connection: who refuses it stops no one.
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def requests_for(self, part):
        return [(path, headers) for path, headers in self.log if part in path]

    def tree(self):
        if self.listing is not None:
            return self.listing
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for path, content in self.repository.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
            if len(content) > self.large:
                entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries

    def find(self, path):
        """The content at a path, or None."""
        if path.startswith("/api/models/org/repo/revision/"):
            return json.dumps({"id": "org/repo", "sha": COMMIT}).encode()
        if path.startswith("/api/models/org/repo/tree/" + COMMIT):
            return json.dumps(self.tree()).encode()
        if path.startswith(f"/org/repo/resolve/{COMMIT}/"):
            return self.repository.get(path.split("/", 5)[5])
        if path == "/v2/library/tiny/manifests/1b":
            layers = [
                {"mediaType": kind, "digest": "sha256:" + sha256(content), "size": len(content)}
                for kind, content in self.layers
            ]
            return json.dumps({"schemaVersion": 2, "layers": layers}).encode()
        if path.startswith("/v2/library/tiny/blobs/sha256:"):
            by_hash = {sha256(content): content for _, content in self.layers}
            return by_hash.get(path.rsplit(":", 1)[1])
        return self.files.get(path)

    def next_fault(self, path):
        with self.changed:
            for part, answers in self.faults.items():
                if part in path and answers:
                    return answers.pop(0) if len(answers) > 1 else answers[0]
        return serve


class RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state = None

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            pass  # the client has what it wanted, or does not trust us

    def do_GET(self):
        state = self.server_state
        with state.changed:
            state.log.append((self.path, dict(self.headers)))
        content = state.find(self.path.split("?")[0])
        try:
            state.next_fault(self.path)(self, content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def reply(self, code, body=b"", headers=None):
        self.send_response(code)
        names = {name.lower() for name in headers or {}}
        if "content-length" not in names and "transfer-encoding" not in names:
            self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def range_of(self, content):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if not match:
            return 0, len(content)
        return int(match[1]), min(len(content), int(match[2] or len(content)) + 1)

    def head(self, code, content, begin, end):
        self.send_response(code)
        self.send_header("ETag", f'"{sha256(content)}"')
        self.send_header("Content-Length", str(end - begin))
        if code == 206:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        self.end_headers()

    def serve(self, content):
        if content is None:
            return self.reply(404, b"Not Found", {"X-Error-Code": "EntryNotFound"})
        condition = self.headers["If-Range"]
        if not self.headers["Range"] or condition not in (None, f'"{sha256(content)}"'):
            return self.reply(200, content, {"ETag": f'"{sha256(content)}"'})
        begin, end = self.range_of(content)
        if begin >= len(content):
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        self.head(206, content, begin, end)
        return self.wfile.write(content[begin:end])


def slowly(seconds, count=64):
    """A fault: a few bytes, then silence."""

    def answer(handler, content):
        begin, end = handler.range_of(content)
        handler.head(206 if handler.headers["Range"] else 200, content, begin, end)
        handler.wfile.write(content[begin : begin + count])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.close_connection = True

    return answer
