"""Starts the auditor: opens the chain against what is remembered of it, and records."""

from services.auditor.adoption import memories_of_witnesses
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.memory import MEMORY
from services.auditor.chain.trust import load_trust
from services.auditor.chain_writer import Cadence
from services.auditor.cosignature_watch import CosignatureWatch
from services.auditor.recorder import Recorder
from services.auditor.redis_guard import RedisGuard
from shared.runtime.bus.redis_connection import RedisConnection
from shared.runtime.runner.sealer import Sealer
from shared.runtime.runner.wiring import Wiring, run_process
from shared.runtime.signing import Signer
from shared.schemas.streams import ServiceName


def run(wiring: Wiring) -> None:
    environment, audit = wiring.settings.environment, wiring.settings.config.audit
    signer = Signer.load(environment.signing_key_file)
    witnesses = _witnesses(wiring)
    guard = _start_guard(wiring)
    journal = ChainJournal(
        environment.audit_dir,
        signer,
        memory=environment.state_dir / MEMORY,
        remembered=memories_of_witnesses(witnesses.latest),
    )
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
            witnesses=witnesses,
        ).run(wiring.stop)
    finally:
        journal.close()
        if guard:
            guard.stop()


def _start_guard(wiring: Wiring) -> RedisGuard | None:
    """None on a server without users: nobody there can be told from a stranger."""
    if wiring.address is None or not wiring.address.username:
        return None
    return RedisGuard(RedisConnection(wiring.address), wiring.metrics, wiring.log).start()


def _witnesses(wiring: Wiring) -> CosignatureWatch:
    environment = wiring.settings.environment
    if not environment.witness_dirs:
        return CosignatureWatch()
    trust = load_trust(environment.public_keys_file)
    return CosignatureWatch(environment.witness_dirs, trust.witnesses, clock=wiring.clock)


if __name__ == "__main__":
    run_process(ServiceName.AUDITOR, run)
