"""Writes docs/reference.

`python -m services.console.reference FOLDER`; with --check it only compares.
"""

import json
import sys
from pathlib import Path

from services.console.reference.commands import commands_page
from services.console.reference.configuration import configuration_page
from services.console.reference.streams import asyncapi, message_schemas
from shared.runtime.atomic_file import write_file


def reference() -> dict[str, str]:
    """File name -> text."""
    return {
        "asyncapi.json": json.dumps(asyncapi(), indent=1, sort_keys=True) + "\n",
        "messages.schema.json": json.dumps(message_schemas(), indent=1, sort_keys=True) + "\n",
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with --check name those that are out of date."""
    folder = Path(arguments[0])
    texts = reference()
    stale = [name for name, text in texts.items() if not _is_current(folder / name, text)]
    if "--check" in arguments:
        if stale:
            print(f"docs/reference is out of date ({', '.join(stale)}): run make docs.")
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        write_file(folder / name, texts[name])
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
