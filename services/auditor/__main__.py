"""Starts the auditor: opens the chain, takes its signing key, and records."""

from __future__ import annotations

from services.auditor.chain.journal import ChainJournal
from services.auditor.recorder import Cadence, Recorder
from shared.runtime.runner.sealer import Sealer
from shared.runtime.runner.wiring import Wiring, run_process
from shared.runtime.signing import Signer
from shared.schemas.streams import ServiceName


def run(wiring: Wiring) -> None:
    environment, audit = wiring.settings.environment, wiring.settings.config.audit
    signer = Signer.load(environment.signing_key_file)
    journal = ChainJournal(environment.audit_dir)
    try:
        Recorder(
            bus=wiring.bus,
            journal=journal,
            signer=signer,
            seal=Sealer(ServiceName.AUDITOR, wiring.identity, wiring.clock),
            clock=wiring.clock,
            metrics=wiring.metrics,
            health=wiring.health,
            log=wiring.log,
            cadence=Cadence(records=audit.checkpoint_records, seconds=audit.checkpoint_seconds),
        ).run(wiring.stop)
    finally:
        journal.close()


if __name__ == "__main__":
    run_process(ServiceName.AUDITOR, run)
