"""The container's healthcheck: exit 0 if its service is ready or stands by; else 1."""

import json
import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    port = os.environ.get("KOBE_HTTP_PORT", "8000")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readiness", timeout=3):
            return 0
    except urllib.error.HTTPError as error:
        reasons = json.loads(error.read())["reasons"]
        print("; ".join(reasons)[:500])
        return 0 if all(reason.startswith("standby") for reason in reasons) else 1
    except OSError as error:
        print(f"no answer on port {port}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
