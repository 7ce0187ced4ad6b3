"""Every command of `kobe`: where it is, what `kobe --help` says of it, how it may end.

Read by app.py, which imports a command's module only when that command runs: `kobe --help` needs
none. Tests hold the help lines to the commands' own docstrings.
"""

from typing import NamedTuple

OK, FAILED, NO_STACK, CONFIGURATION, PROBE, USAGE, UNREACHABLE, BROKEN, IO_ERROR, INTERRUPTED = (
    0, 1, 2, 3, 4, 64, 69, 70, 74, 130,
)  # fmt: skip
"""Exit codes; 64, 69, 70 and 74 are those of sysexits.h, 130 is the shell's for Ctrl-C."""

EXIT_CODES = {
    OK: "done, and all is well",
    FAILED: "bad input, or a check failed",
    NO_STACK: "no stack is running, or keys are missing",
    CONFIGURATION: "the configuration is wrong, or not the pinned one",
    PROBE: "a probe failed: broker, data, Redis, disk",
    USAGE: "wrong usage: an unknown command, option or value",
    UNREACHABLE: "Redis or the broker does not answer",
    BROKEN: "an unforeseen error; KOBE_TRACEBACK=1 shows where",
    IO_ERROR: "a file or the terminal could not be written",
    INTERRUPTED: "interrupted by Ctrl-C",
}
CHAIN_EXIT_CODES = {
    3: "a broken link", 4: "truncated", 5: "rewritten", 6: "a bad signature",
    7: "not canonical", 8: "a gap in a writer's numbers", 9: "a torn tail",
    10: "the key is not pinned", 11: "stale", 12: "a checkpoint is missing",
    13: "not countersigned by a witness",
}  # fmt: skip


class Command(NamedTuple):
    """`place` is module:name within services.console.cli; `fails` says what exit code 1 means."""

    name: str
    place: str
    help: str
    section: str
    fails: str = ""
    codes: tuple[int, ...] = ()


RESEARCH, LOOK, ACT, STACK = "Research", "Look at a stack", "Steer a stack", "Run and check"
SECTIONS = (STACK, LOOK, ACT, RESEARCH)
OF_A_STACK = (NO_STACK, UNREACHABLE)

COMMANDS = (
    Command(
        "demo", "demo:demo",
        "Replay real bars through all services and the simulated broker.", STACK,
        "the audit chain does not verify, an order was duplicated, positions differ from the "
        "broker's, or the bars held fewer sessions than --sessions",
    ),
    Command(
        "preflight", "preflight:preflight",
        "Check everything a stack of this mode needs before starting it.", STACK,
        "", (NO_STACK, CONFIGURATION, PROBE),
    ),
    Command(
        "replay", "replay:replay",
        "Replay past sessions through all services in one process, without Redis.", STACK,
    ),
    Command(
        "parity", "replay:parity",
        "Compare a replay with the backtest of the same sessions, fill by fill.", STACK,
        "they differ",
    ),
    Command(
        "live", "live:app", "Arm and disarm live trading.", STACK, "", (NO_STACK,),
    ),
    Command(
        "data", "data:app", "Fetch, check, import and export bars.", STACK,
        "the vendor has nothing, or bars are flawed",
        (NO_STACK, CONFIGURATION, PROBE, IO_ERROR),
    ),
    Command(
        "universe", "universe:app", "Build and compare lists of liquid stocks with options.", STACK,
        "no candidate passes, or a list lacks a proof", (NO_STACK, CONFIGURATION, PROBE, IO_ERROR),
    ),
    Command(
        "paper", "paper:app", "Trade on Alpaca's paper account, on this machine.", STACK,
        "it does not start, or does not run", (NO_STACK, CONFIGURATION, PROBE),
    ),
    Command(
        "vendor", "vendor:app", "Try market data vendors.", STACK, "",
        (NO_STACK, CONFIGURATION, PROBE),
    ),
    Command("sim", "sim:app", "Control the simulated broker: faults and events.", STACK),
    Command("audit", "audit:app", "Verify the audit chain, explain decisions, prove records.", STACK),
    Command(
        "config", "config:app", "Show, check, compare and pin the settings.", STACK,
        "the files differ, or a session ran with mixed settings", (CONFIGURATION,),
    ),
    Command(
        "backup", "backup:app", "Create, list, verify and restore backups of a stack.", STACK,
        "the backup or its chain does not verify",
    ),
    Command(
        "evidence", "audit_evidence:evidence",
        "Pack a session's records with their proof, orders, denials, comparison and configuration.",
        STACK,
    ),
    Command(
        "status", "status:status", "Show whether the stack trades, and if not, why.", LOOK,
        "something is away or halted", OF_A_STACK,
    ),
    Command(
        "positions", "status:positions", "Show open positions and the stops that protect them.",
        LOOK, "", OF_A_STACK,
    ),
    Command(
        "orders", "status:orders",
        "Show the risk-gate's latest decisions and what became of them.", LOOK, "", OF_A_STACK,
    ),
    Command("signals", "status:signals", "Show the latest signals.", LOOK, "", OF_A_STACK),
    Command("logs", "status:logs", "Show the services' logs, merged by time.", LOOK),
    Command(
        "kill", "kill:kill", "Stop all new exposure at once; positions keep their protection.", ACT,
        "the risk-gate or the executor has not confirmed that it is halted, or a drill failed",
        OF_A_STACK,
    ),
    Command(
        "resume", "kill:resume",
        "Show the kills that hold and clear those you have seen; a later one stays.", ACT,
        "a service is still halted", OF_A_STACK,
    ),
    Command("activate", "control:activate", "Move trading from reducing (exits only) back to active.", ACT, "", OF_A_STACK),
    Command("reconcile", "control:reconcile", "Have the executor compare orders and positions with the broker now.", ACT, "", OF_A_STACK),
    Command("adopt", "control:adopt", "Take the broker's shares in a disputed symbol as ours, with our stop for all of them.", ACT, "", OF_A_STACK),
    Command("release", "control:release", "Give a position up: its shares are yours by hand, and our stop is canceled.", ACT, "", OF_A_STACK),
    Command("acknowledge", "control:acknowledge", "Leave shares that are not ours where they are; the symbol may be traded again.", ACT, "", OF_A_STACK),
    Command(
        "backtest", "research:backtest",
        "Test strategies on past bars: exact fills, shared cash, costs, every trade.", RESEARCH,
    ),
    Command(
        "walk-forward", "walk_forward:walk_forward",
        "Choose parameters on the past, trade them on what comes next.", RESEARCH,
    ),
    Command(
        "showdown", "showdown:showdown", "Compare strategies, each run alone with the same cash.",
        RESEARCH,
    ),
    Command(
        "montecarlo", "showdown:montecarlo",
        "Resample a backtest's trades and days: how much was luck.", RESEARCH,
    ),
    Command(
        "check-strategy", "research:check_strategy",
        "Check a strategy for look-ahead on real bars.", RESEARCH, "the strategy breaks a rule",
    ),
    Command(
        "trials", "trials:trials",
        "Show every trial ever made on these bars: each of them makes the best one luckier.",
        RESEARCH,
    ),
    Command(
        "worker", "walk_forward:worker",
        "Process queued research; run one per core.", RESEARCH, "", (UNREACHABLE,),
    ),
)  # fmt: skip


def find(name: str) -> Command | None:
    return next((each for each in COMMANDS if each.name == name), None)


def epilog(command: Command) -> str:
    """The exit codes a command may end with, for the foot of its help."""
    codes = sorted({OK, FAILED, USAGE, INTERRUPTED, *command.codes})
    words = {**EXIT_CODES, FAILED: command.fails or EXIT_CODES[FAILED]}
    return "Exit codes: " + "; ".join(f"{code} {words[code]}" for code in codes) + "."
