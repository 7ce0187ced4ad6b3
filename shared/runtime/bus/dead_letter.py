"""What stands in `kobe:dead` for an entry nobody could read; the console shows it."""

import json

from shared.runtime.bus.protocol import DeadLetter

# A quarter of the largest envelope: enough to see what it was.
MAX_TEXT = 64 * 1024


def dead_fields(letter: DeadLetter, group: str) -> dict[str, str]:
    """Its origin, the reason, and its raw fields as JSON text (ASCII, cut at 64 KiB)."""
    text = json.dumps(dict(letter.entry.fields), sort_keys=True)
    return {
        "stream": letter.entry.stream.key,
        "entry_id": letter.entry.entry_id,
        "group": group,
        "reason": letter.reason[:1024].encode("utf-8", "replace").decode(),
        "fields": text[:MAX_TEXT],
    }
