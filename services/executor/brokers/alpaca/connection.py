"""Connects to Alpaca: refuses an address or key that does not fit the mode, wires the adapter."""

from urllib.parse import urlsplit

from services.executor.brokers.alpaca.announcements import Announcements
from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.brokers.alpaca.trade_updates import TradeUpdates
from services.executor.brokers.protocol import BrokerConnection
from services.executor.brokers.registry import BrokerPlace
from shared.domain.errors import UserError
from shared.runtime.recorded_time import is_recorded
from shared.schemas.values import Mode

HOSTS = {Mode.PAPER: "paper-api.alpaca.markets", Mode.LIVE: "api.alpaca.markets"}
KEY_PREFIXES = {Mode.PAPER: "PK", Mode.LIVE: "AK"}
MISSING_KEYS = 2


def connect(place: BrokerPlace) -> BrokerConnection:
    """Raises UserError if address, key and mode do not tell the same story."""
    key_id, secret = place.key_id.reveal(), place.secret_key.reveal()
    refuse_address(place.mode, place.url, key_id, secret, test=place.test)
    headers = {
        "APCA-API-KEY-ID": key_id,
        "APCA-API-SECRET-KEY": secret,
        "Accept": "application/json",
    }
    budget = RequestWindow(
        per_minute=place.requests_per_minute, reserved=place.reserved_requests, clock=place.clock
    )
    broker = AlpacaBroker(
        DeadlineHttp(place.url, headers),
        budget=budget,
        clock=place.clock,
        post_seconds=place.post_deadline_seconds,
        announcements=Announcements(DeadlineHttp(place.data_url, headers)),
    )
    updates = TradeUpdates(place.stream_url, key_id=key_id, secret=secret, log=place.log)
    return BrokerConnection(broker, updates.start())


def refuse_address(mode: Mode, url: str, key_id: str, secret: str, *, test: bool = False) -> None:
    """Raises UserError with the sentence that says what does not fit.

    In a test paper may talk to a recorded broker on this machine, or in this compose network.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if mode is Mode.SIM:
        if host == "alpaca.markets" or host.endswith(".alpaca.markets"):
            raise UserError(
                f"Mode sim may not talk to {host}; "
                "set KOBE_MODE to paper or live, or remove the address."
            )
        return
    recorded = test and mode is Mode.PAPER and is_recorded(url)
    if not recorded and (host != HOSTS[mode] or parts.scheme != "https"):
        raise UserError(f"Mode {mode} needs the broker https://{HOSTS[mode]}, not {url}.")
    if not key_id or not secret:
        raise UserError(
            f"Mode {mode} needs ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY "
            "(or their _FILE forms).",
            exit_code=MISSING_KEYS,
        )
    if not key_id.startswith(KEY_PREFIXES[mode]):
        raise UserError(
            f"Mode {mode} needs a key that begins with {KEY_PREFIXES[mode]}; this one does not."
        )
