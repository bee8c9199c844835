"""A server on this machine that lays out records as PhysioNet does."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def serving(folder, files):
    """Address of a server of files as svdb 1.0.0; ``folder`` holds what it serves."""
    place = folder / "svdb" / "1.0.0"
    place.mkdir(parents=True)
    sums = []
    for path in files:
        content = path.read_bytes()
        (place / path.name).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()} {path.name}\n")
    (place / "SHA256SUMS.txt").write_text("".join(sums))
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *ends: _Quiet(*ends, directory=str(folder)))
    server.handle_error = lambda *_: None  # a client that is killed is no news
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
