"""Everything the services say to each other, one frozen struct a message, one file a stream.

Unknown fields are ignored when read; a breaking change is a new type name. Imports only values. The
one package whose top is not empty: every process needs the whole vocabulary, and it costs only
structs.
"""

from shared.schemas.messages.audit import (
    BlockAppended as BlockAppended,
    CheckpointCosigned as CheckpointCosigned,
    CheckpointSigned as CheckpointSigned,
)
from shared.schemas.messages.bars import (
    BarsReady as BarsReady,
    CorporateActionsSeen as CorporateActionsSeen,
)
from shared.schemas.messages.control import (
    ActivateRequested as ActivateRequested,
    AdoptRequested as AdoptRequested,
    DriftAcknowledged as DriftAcknowledged,
    KillCleared as KillCleared,
    KillDrilled as KillDrilled,
    ReconcileRequested as ReconcileRequested,
    ReleaseRequested as ReleaseRequested,
)
from shared.schemas.messages.executions import (
    AccountSeen as AccountSeen,
    FlatConfirmed as FlatConfirmed,
    FlatNotConfirmed as FlatNotConfirmed,
    OrderEnded as OrderEnded,
    OrderFilled as OrderFilled,
    OrderSubmitted as OrderSubmitted,
    OrderUnknown as OrderUnknown,
    PositionAdjusted as PositionAdjusted,
    PositionDisputed as PositionDisputed,
    PositionRenamed as PositionRenamed,
    PositionRescaled as PositionRescaled,
    ProtectionPlaced as ProtectionPlaced,
    ScanExecuted as ScanExecuted,
)
from shared.schemas.messages.orders import (
    OrderApproved as OrderApproved,
    OrderDenied as OrderDenied,
    ScanDecided as ScanDecided,
    TradingStateChanged as TradingStateChanged,
)
from shared.schemas.messages.quotes import QuotesSeen as QuotesSeen
from shared.schemas.messages.requests import QuotesRequested as QuotesRequested
from shared.schemas.messages.schedule import (
    BarsDue as BarsDue,
    ReconcileDue as ReconcileDue,
    ScanDue as ScanDue,
    SessionClosed as SessionClosed,
    SessionOpened as SessionOpened,
)
from shared.schemas.messages.signals import ScanCompleted as ScanCompleted
from shared.schemas.values import Message as Message
