"""`kobe kill` and `kobe resume`: stop all new exposure, and allow it again."""

import os
import sys
from getpass import getuser
from typing import Annotated

import typer

from services.console.cli.commands import FAILED, OK, UNREACHABLE, USAGE
from services.console.cli.output import AsJson, print_json, print_rows, terminal
from services.console.kill_switch.drill import Drill
from services.console.kill_switch.order import Halt, KillReport, ServiceHalt, order_kill
from services.console.kill_switch.resumption import Resumer, Resumption, Standing
from services.console.stack.address import find_stack
from services.console.stack.connect import open_client
from services.console.stack.latches import DECISIVE
from shared.domain.errors import UserError
from shared.schemas.values import Mode

Why = Annotated[str, typer.Argument(help="Why; it is written into the audit chain.")]


def kill(
    why: Why = "by the operator",
    drill: Annotated[
        bool, typer.Option("--drill", help="Try the kill on a running sim or paper stack.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Stop all new exposure at once; positions keep their protection.

    Exit code 0 only if the risk-gate and the executor have said that they are halted, or are down
    and will come up halted; 1 if one of them has not, 69 if Redis could not be asked.
    """
    if drill:
        return _run_drill(as_json=as_json)
    report = order_kill(find_stack(os.environ), why)
    if as_json:
        print_json({"certain": report.is_certain, "report": report})
    else:
        for sentence in kill_sentences(report):
            terminal.print(sentence)
    if report.is_certain:
        return OK
    return FAILED if report.services else UNREACHABLE


def kill_sentences(report: KillReport) -> list[str]:
    """What has been achieved, and what has not."""
    lines = [_service_sentence(each, report) for each in report.services]
    if report.is_certain:
        return [*lines, "Killed: nothing can increase exposure until `kobe resume`."]
    lines.append("THE KILL IS NOT CONFIRMED.")
    if report.error:
        lines.append(f"{report.error.rstrip('.')}.")
    if report.file:
        lines.append(
            f"The kill file {report.file} is written: a service that sees this folder is halted "
            "within 0.2 s, and stays so until the file is removed and `kobe resume` is run."
        )
    else:
        lines.append(f"The kill file could not be written: {report.file_error}.")
    if not report.services:
        lines.append(
            "A service without Redis halts by itself after 0.5 s. "
            "Stop the stack if you must be certain."
        )
    return lines


def _service_sentence(each: ServiceHalt, report: KillReport) -> str:
    if each.halt is Halt.HALTED:
        return f"{each.service}: halted after {each.seconds:.2f} s"
    if each.halt is Halt.DOWN:
        how = f"kill log {report.log_id}" if report.log_id else f"kill file {report.file}"
        return f"{each.service}: down; it will come up halted ({how})"
    return f"{each.service}: NOT CONFIRMED; it is connected and has not said that it is halted"


def _run_drill(*, as_json: bool) -> int:
    drill = Drill(
        open_client(os.environ),
        (lambda _: None) if as_json else lambda step: terminal.print(f"Trying: {step}"),
    )
    result = drill.run()
    if as_json:
        print_json(result)
    else:
        for name, milliseconds in result.confirmed.items():
            terminal.print(f"{name}: halted after {milliseconds} ms")
        for failure in result.failures:
            terminal.print(f"FAILED: {failure}")
        terminal.print("The drill passed." if result.passed else "The drill FAILED.")
    return OK if result.passed else FAILED


def resume(
    why: Why = "by the operator",
    seen: Annotated[
        str, typer.Option("--seen", metavar="ID", help="The last kill you have seen and clear.")
    ] = "",
    account: Annotated[
        str, typer.Option("--account", help="The account number, which live asks for.")
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Show the kills that hold and clear those you have seen; a later one stays.

    Live asks for the account number. Exit code 1 if a service is still halted afterwards.
    """
    resumer = Resumer(open_client(os.environ))
    standing = resumer.standing()
    if not standing.is_halted:
        print_json({"cleared": None}) if as_json else terminal.print(
            "Nothing to clear: no kill is active."
        )
        return OK
    if not as_json:
        _print_standing(standing)
    seen = _require_consent(standing, seen, account)
    outcome = resumer.clear(seen, by=getuser(), why=why)
    if as_json:
        print_json({"cleared": outcome.cleared_id, "outcome": outcome})
    else:
        for sentence in resume_sentences(outcome):
            terminal.print(sentence)
    return FAILED if outcome.halted else OK


def resume_sentences(outcome: Resumption) -> list[str]:
    lines = [f"Cleared the kills up to {outcome.cleared_id}."]
    lines += [f"{name}: STILL HALTED: {'; '.join(why)}" for name, why in outcome.halted.items()]
    lines += [f"{name}: down" for name in outcome.down]
    if not outcome.halted and not outcome.down:
        lines.append(f"{' and '.join(name.value for name in DECISIVE)} trade again.")
    return lines


def _print_standing(standing: Standing) -> None:
    print_rows(
        "Kills not cleared",
        ("id", "at (UTC)", "by", "why"),
        [(k.id, f"{k.at:%Y-%m-%d %H:%M:%S}", k.by, k.why) for k in standing.kills],
        empty="No kill stands in the log.",
    )
    if standing.file:
        terminal.print(f"Kill file: {standing.file}")
    for name, reasons in standing.reasons.items():
        terminal.print(f"{name}: {'; '.join(reasons)}")


def _require_consent(standing: Standing, seen: str, account: str) -> str:
    """The id to clear up to. Raises UserError unless the operator has named or confirmed it."""
    is_live = standing.mode == Mode.LIVE.value
    if sys.stdin.isatty():
        if is_live and not account:
            account = typer.prompt("Type the account number to resume LIVE trading", default="")
        elif not is_live and not seen:
            typer.confirm("Clear these kills?", abort=True)
            seen = standing.last_id
    if is_live and account != standing.account:
        raise UserError(
            "Live is resumed only with its account number (--account).", exit_code=USAGE
        )
    if not seen and not (is_live and sys.stdin.isatty()):
        raise UserError(
            f"Name the last kill you have seen: kobe resume --seen {standing.last_id}.",
            exit_code=USAGE,
        )
    return seen or standing.last_id
