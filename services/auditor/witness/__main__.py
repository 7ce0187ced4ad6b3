"""Starts the witness: a process with a key, a volume and a voice of its own.

A fork does not end it: it refuses to sign, says why on /readiness, in its metrics and in a file on
its volume, and looks again.
"""

import os
import sys
from pathlib import Path
from threading import Event

from services.auditor.chain.checkpoints import replace_note
from services.auditor.chain.trust import load_public_key
from services.auditor.chain.witness_files import REFUSAL
from services.auditor.witness.witness import Witness
from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.config.settings import load_settings
from shared.runtime.observability.health_server import Health, Server, probes
from shared.runtime.observability.log import Log, configure_logging, logger
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import MetricSample
from shared.runtime.runner.wiring import exit_code_of, stop_on_signal
from shared.runtime.signing import Signer
from shared.schemas.streams import ServiceName

# Checkpoints come at least every 60 s; the window for a rewrite grows by no more than this.
LOOK_SECONDS = 10.0
REFUSES, WAITS = "refusal", "transient"


class Watch:
    """Looks again and again, and tells what it saw."""

    def __init__(self, witness: Witness, health: Health, log: Log) -> None:
        self._witness, self._health, self._log = witness, health, log
        self._refusal = witness.folder / REFUSAL
        self._is_refusing = False

    def look(self) -> None:
        """A full disk is waited for; a fork is refused for as long as it stands."""
        self._health.beat()
        try:
            signed = self._witness.look()
        except TransientError as error:
            self._health.mark_unready(WAITS, str(error))
            self._log.warning("transient_error", error=str(error))
            return
        except InvariantBroken as error:
            self._refuse(str(error))
            return
        self._accept(signed)

    def _refuse(self, why: str) -> None:
        if not self._is_refusing:
            replace_note(self._refusal, f"{why}\n")
        self._is_refusing = True
        self._health.mark_unready(REFUSES, f"refuses to countersign: {why}")
        self._log.critical("witness_refuses", reason=why, height=self._witness.height)

    def _accept(self, signed: int) -> None:
        self._is_refusing = False
        self._refusal.unlink(missing_ok=True)
        for topic in (REFUSES, WAITS, "starting"):
            self._health.mark_ready(topic)
        if signed:
            self._log.info("countersigned", checkpoints=signed, height=self._witness.height)

    def gauges(self) -> list[MetricSample]:
        witness = self._witness
        return [
            MetricSample("kobe_witness_height", float(witness.height), help="Records vouched for"),
            MetricSample(
                "kobe_witness_cosigned_timestamp_seconds",
                float(witness.cosigned_at),
                help="When a checkpoint was last countersigned",
            ),
            MetricSample(
                "kobe_witness_refusing",
                float(self._is_refusing),
                help="1 while the chain is not the one that was seen before",
            ),
            MetricSample(
                "kobe_witness_memory_lost",
                float(witness.memory_lost),
                help="1 if its own files held less than it had signed when it started",
            ),
        ]


def open_witness(chain: Path, folder: Path, keys: Path, signer: Signer, clock: Clock) -> Witness:
    """Raises UserError if the pinned keys name none of the auditor."""
    folder.mkdir(parents=True, exist_ok=True)
    auditor_key = load_public_key(keys, ServiceName.AUDITOR.value)
    return Witness(chain, folder, signer, auditor_key, clock)


def run(stop: Event) -> None:
    settings, clock = load_settings(os.environ), SystemClock()
    configure_logging(settings, "witness")
    environment, health, metrics = settings.environment, Health(clock), MetricRegistry("witness")
    signer = Signer.load(environment.signing_key_file)
    witness = open_witness(
        environment.audit_dir, environment.state_dir, environment.public_keys_file, signer, clock
    )
    if witness.memory_lost:
        logger().error("witness_memory_lost", height=witness.height)
    watch = Watch(witness, health, logger())
    metrics.watch(watch.gauges)
    server = Server(
        probes(health, metrics.registry), environment.http_host, environment.http_port
    ).start()
    try:
        while not stop.is_set():
            watch.look()
            stop.wait(LOOK_SECONDS)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: run(stop_on_signal())))
