"""Serves the recorded replies of ../shared/fixtures, where they are.

Each at the path it was recorded at.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.recorded.faults import Recorder


def replayed(folder: Path, names: tuple[str, ...]) -> Recorder:
    """An app that answers with these files; anything else is 404."""
    answers: dict[str, tuple[int, bytes]] = {}
    for name in names:
        file = json.loads((folder / f"{name}.json").read_text())
        body = file["response"].get("raw_body") or json.dumps(file["response"]["body"])
        url = file["request"]["url"]
        path = urlsplit(url if "//" in url else f"//{url}").path
        answers[path.lower()] = file["response"]["status"], body.encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        status, body = answers.get(request.url.path.lower(), (404, b'{"message":"not recorded"}'))
        await Response(body, status, media_type="application/json")(scope, receive, send)

    return Recorder(app)
