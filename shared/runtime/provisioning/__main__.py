"""A stack's two one-shot jobs, `secrets FOLDER` before Redis and `streams` after it.

Run as `python -m shared.runtime.provisioning JOB`, at every start if you like. They end with one
sentence and an exit code when something is wrong.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.config.environment import read_environment
from shared.runtime.provisioning.redis_acl import INIT
from shared.runtime.provisioning.redis_preflight import refuse_unfit
from shared.runtime.provisioning.secret_files import init_secrets, read_keys
from shared.runtime.provisioning.streams import init_streams

MARKER = "kill_genesis"
UNAVAILABLE, USAGE = 69, 64


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code."""
    try:
        options = _parser().parse_args(arguments)
        if options.job == "secrets":
            keys = read_keys(options.keys) if options.keys else None
            become_owner(options.folder / "redis")
            init_secrets(options.folder, keys)
        else:
            print(_streams(environ))
    except UserError as error:
        print(f"kobe: {error}", file=sys.stderr)
        return error.exit_code
    except (TransientError, InvariantBroken) as error:
        print(f"kobe: {error}", file=sys.stderr)
        return UNAVAILABLE
    except SystemExit as error:
        return USAGE if error.code else 0
    return 0


def become_owner(folder: Path) -> None:
    """Give up root for the owner of a folder that is there.

    A user's `.env` is read by him alone, so the container reads it as root; what it then makes
    belongs to the services, and nothing else is done with root's rights.
    """
    if os.geteuid() == 0 and folder.is_dir() and (owner := folder.stat()).st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provision", description="The one-shot jobs that prepare a stack."
    )
    jobs = parser.add_subparsers(dest="job", required=True)
    secrets = jobs.add_parser(
        "secrets", help="passwords, signing keys and the Redis ACL file; keeps what exists"
    )
    secrets.add_argument("folder", type=Path, help="one folder a service is made in it")
    secrets.add_argument(
        "--keys", type=Path, help="NAME=value lines with the broker's and vendors' keys"
    )
    jobs.add_parser("streams", help="check Redis, then make streams, groups and the kill's genesis")
    return parser


def _streams(environ: Mapping[str, str]) -> str:
    environment = read_environment(environ)
    address = Address.parse(
        environment.redis_url,
        username=environment.redis_user or INIT,
        password=environment.redis_password.reveal(),
    )
    with closing(RedisConnection(address)) as connection:
        refuse_unfit(connection, environment.mode)
        written = init_streams(connection, environment.state_dir / MARKER)
    return "Streams and groups stand; " + (
        "the kill's genesis was written." if written else "nothing else to do."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
