"""Makes what must be secret before Redis starts: passwords, signing keys, the ACL file.

Called by the init-secrets job. Each service's folder is mounted into that service alone. What
exists is never replaced; the ACL file and the public keys follow from it and are written anew. It
prints no secret.
"""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from shared.domain.errors import UserError
from shared.runtime.atomic_file import write_file
from shared.runtime.config.environment import MISSING_KEYS, read_env_file
from shared.runtime.provisioning.redis_acl import acl_file, users
from shared.runtime.signing import Signer
from shared.schemas.streams import ServiceName

WITNESS = "witness"
SIGNING = (
    ServiceName.RISK_GATE.value,
    ServiceName.AUDITOR.value,
    ServiceName.CONSOLE.value,
    WITNESS,
)
# Whoever is not in the basic stack: left out where there is no place for it (a container mounts
# only what it needs).
OPTIONAL = (WITNESS, "research", "sim-broker")
VENDOR_KEYS = {
    "executor": ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"),
    "data-fetcher": ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY", "MASSIVE_API_KEY"),
}
PRIVATE, PUBLIC = 0o600, 0o644


def init_secrets(folder: Path, vendor_keys: Mapping[str, str] | None = None) -> None:
    """Make `<folder>/<service>/{redis_password, signing.key, public_keys.json}` and the ACL file.

    `vendor_keys` (variable -> value) go to the services that need them; they do replace, and one
    that is missing leaves an empty file. Raises UserError.
    """
    owners = [user.name for user in users() if not user.nopass]
    places = {
        name: place
        for name in {*owners, *SIGNING, *OPTIONAL, "redis"}
        if (place := _place(folder, name))
    }
    passwords = {name: _password(place) for name, place in places.items() if name != "redis"}
    _write(places["redis"] / "users.acl", acl_file(passwords), PUBLIC)
    signers = {name: _signer(places[name]) for name in SIGNING if name in places}
    public = [signers[name].public_key(name) for name in SIGNING if name in signers]
    for name, place in places.items():
        if name != "redis":
            _write(place / "public_keys.json", msgspec.json.encode(public).decode(), PUBLIC)
    for name, variables in VENDOR_KEYS.items():
        for variable in variables:
            if vendor_keys is not None:
                _write(places[name] / variable, vendor_keys.get(variable, ""), PRIVATE)


def read_keys(file: Path) -> dict[str, str]:
    """The keys in an `.env` file; raises UserError if one of the broker's is missing."""
    keys = read_env_file(file)
    missing = [name for name in VENDOR_KEYS["executor"] if not keys.get(name)]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} missing: put your Alpaca keys into .env "
            "(see .env.example), then start again.",
            exit_code=MISSING_KEYS,
        )
    massive = keys.get("MASSIVE_API_KEY") or keys.get("POLYGON_API_KEY", "")
    return {**keys, "MASSIVE_API_KEY": massive}


def _place(folder: Path, name: str) -> Path | None:
    """The folder of one service; a volume mounted there keeps the rights it has."""
    place = folder / name
    try:
        place.mkdir(mode=0o755 if name == "redis" else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        if name in OPTIONAL:
            return None
        raise UserError(f"{place} cannot be made: {error.strerror}.", exit_code=2) from error
    return place


def _password(place: Path) -> str:
    return _read_or_make(place / "redis_password", lambda: secrets.token_urlsafe(32))


def _signer(place: Path) -> Signer:
    _read_or_make(place / "signing.key", lambda: Signer.generate().private_text())
    return Signer.load(place / "signing.key")


def _read_or_make(file: Path, make: Callable[[], str]) -> str:
    try:
        if not file.exists():
            _write(file, make(), PRIVATE)
        return file.read_text().strip()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", exit_code=2) from error


def _write(file: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by more than it should be."""
    try:
        if file.exists() and file.read_text() == text:
            return
        write_file(file, text, mode=mode)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.", exit_code=2) from error
