"""Where the stack is: by the environment, else the running demo, else the default.

Called by every command that talks to a stack.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.domain.errors import UserError
from shared.runtime.atomic_file import write_file
from shared.schemas.streams import ServiceName

DEMO_FILE = Path("state/demo.json")
SERVICES = tuple(name.value for name in ServiceName if name is not ServiceName.CONSOLE)


class StackAddress(msgspec.Struct, frozen=True, kw_only=True):
    """`password_file` is the operator's (Redis user `console`)."""

    redis_url: str
    password_file: str
    broker_url: str
    kill_file: str
    log_dir: str
    audit_dir: str
    public_keys_file: str = ""
    witness_dir: str = ""
    readiness_urls: dict[str, str] = {}
    """By service; empty where services cannot be asked, only their leases be seen."""


def find_stack(environ: Mapping[str, str], demo_file: Path = DEMO_FILE) -> StackAddress:
    if "KOBE_REDIS_URL" not in environ and demo_file.exists():
        return msgspec.json.decode(demo_file.read_bytes(), type=StackAddress)
    return StackAddress(
        redis_url=environ.get("KOBE_REDIS_URL", "redis://127.0.0.1:6379"),
        password_file=environ.get(
            "KOBE_REDIS_PASSWORD_FILE", "state/secrets/console/redis_password"
        ),
        broker_url=environ.get("KOBE_BROKER_URL", "http://127.0.0.1:8080"),
        kill_file=environ.get("KOBE_KILL_FILE", "state/KILL_SWITCH"),
        log_dir=environ.get("KOBE_LOG_DIR", "logs"),
        audit_dir=environ.get("KOBE_AUDIT_DIR", "state/audit"),
        public_keys_file=environ.get(
            "KOBE_PUBLIC_KEYS_FILE", "state/secrets/console/public_keys.json"
        ),
        witness_dir=environ.get("KOBE_WITNESS_DIR", ""),
        readiness_urls=_readiness_urls(environ.get("KOBE_READINESS_URL", "")),
    )


def _readiness_urls(template: str) -> dict[str, str]:
    """`http://{service}:8000/readiness` for every service of a stack."""
    return {name: template.replace("{service}", name) for name in SERVICES} if template else {}


def write_address(file: Path, address: StackAddress) -> None:
    write_file(file, msgspec.json.encode(address))


def password_of(address: StackAddress) -> str:
    """The operator's password. Raises UserError if its file cannot be read."""
    try:
        return Path(address.password_file).read_text().strip()
    except OSError as error:
        raise UserError(
            f"No stack is running here: {address.password_file} cannot be read "
            f"({error.strerror}). Start one with `kobe demo`; for the compose stack use "
            "`docker compose run --rm kobe …`.",
            exit_code=2,
        ) from error
