"""What each answer of the server forbids the browser, and the only names that the server answers to."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from . import streamlit_runtime

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# By the kind of content, where it may come from: from this server, and what the pages themselves make.
SOURCES: Final = {
    "default-src": "'self'",
    "img-src": "'self' data: blob:",  # figures and the icon
    "style-src": "'self' 'unsafe-inline'",  # Streamlit and Plotly write styles as they draw
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "connect-src": "'self' blob: data:",  # its own WebSocket among them; Plotly saves a picture by a data address
    "frame-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS: Final = {
    "X-Frame-Options": "DENY",  # the same as frame-ancestors, for old browsers
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # an address holds the name of a record
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def guards() -> list[Middleware]:
    """What stands before Streamlit's own server, outermost first."""
    hosts = streamlit_runtime.allowed_hosts() or ["*"]
    headers = {"Content-Security-Policy": content_policy(streamlit_runtime.shell_page()), **HEADERS}
    return [Middleware(Headers, headers=headers), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]


def content_policy(shell_page: str) -> str:
    """The Content-Security-Policy; of the scripts within the page that loads the dashboard, by hash."""
    inline = re.findall(r"<script>(.*?)</script>", shell_page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    scripts = ["'self'", "blob:", *(f"'sha256-{digest}'" for digest in digests)]  # components are loaded as blobs
    return "; ".join(f"{kind} {places}" for kind, places in {"script-src": " ".join(scripts), **SOURCES}.items())


class Headers:
    """Puts headers onto every answer to a browser."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the inner application, with the headers."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_guarded)
