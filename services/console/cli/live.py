"""`kobe live arm` and `kobe live disarm`: live trading needs a hand that knows the account."""

import datetime as dt
import os
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, print_lines
from shared.domain.errors import UserError

app = typer.Typer(no_args_is_help=True)
USAGE = 64
LONGEST_HOURS = 24
"""An arming that nobody renews must end before the next session but one."""
Hours = Annotated[
    int, typer.Option("--hours", min=1, max=LONGEST_HOURS, help="How long live may trade.")
]
Typed = Annotated[
    str, typer.Option("--account", help="The account number, typed; asked for without it.")
]


@app.command()
def arm(hours: Hours = LONGEST_HOURS, account: Typed = "", as_json: AsJson = False) -> None:
    """Let live start for at most a day; you type the account number."""
    from shared.runtime.atomic_file import write_file
    from shared.runtime.clock import SystemClock
    from shared.runtime.config.environment import read_environment

    environment = read_environment(os.environ)
    if not environment.account:
        raise UserError("KOBE_ACCOUNT names no account to arm; set it first.", exit_code=2)
    typed = account or typer.prompt(f"Type the account number to arm live for {hours} h", err=True)
    if typed.strip() != environment.account:
        raise UserError(
            f"{typed.strip()!r} is not the account of KOBE_ACCOUNT; nothing is armed.",
            exit_code=USAGE,
        )
    until = (SystemClock().now() + dt.timedelta(hours=hours)).isoformat(timespec="seconds")
    arming = {"account": environment.account, "expires_at": until}
    write_file(environment.arm_file, json_bytes(arming))
    if as_json:
        print_json({"armed": True, **arming, "file": str(environment.arm_file)})
    else:
        print_lines([f"Live is armed for account {environment.account} until {until}."])


@app.command()
def disarm(as_json: AsJson = False) -> None:
    """Remove the arming; live does not start again without a new one."""
    from shared.runtime.config.environment import read_environment

    file = read_environment(os.environ).arm_file
    armed = file.exists()
    file.unlink(missing_ok=True)
    if as_json:
        print_json({"disarmed": armed})
    else:
        print_lines(["Live is disarmed." if armed else "Live was not armed."])


def json_bytes(value: dict[str, str]) -> bytes:
    import msgspec

    return msgspec.json.encode(value) + b"\n"
