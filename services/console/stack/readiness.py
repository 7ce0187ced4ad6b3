"""Asks services over HTTP whether they are ready, all at once; what does not answer is away.

Called by `kobe status` and by the demo while it starts.
"""

import http.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec

PATIENCE_SECONDS = 2.0
"""A probe answers from memory within milliseconds; whoever needs longer is not well."""
AWAY = "does not answer"


def reasons_by_service(urls: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Why each service is not ready; an empty tuple if it is."""
    if not urls:
        return {}
    with ThreadPoolExecutor(max_workers=len(urls)) as pool:
        return dict(zip(urls, pool.map(reasons, urls.values()), strict=True))


def local_url(port: int) -> str:
    return f"http://127.0.0.1:{port}/readiness"


def reasons(url: str) -> tuple[str, ...]:
    """Why the service at that readiness URL is not ready."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", parts.path or "/readiness")
        body = msgspec.json.decode(connection.getresponse().read(), type=dict[str, object])
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return (AWAY,)
    finally:
        connection.close()
    found = body.get("reasons")
    return tuple(map(str, found)) if isinstance(found, list) else (AWAY,)
