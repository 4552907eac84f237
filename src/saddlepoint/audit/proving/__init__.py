"""The other side of the bracket: which samples no member of the set can break, proved by bounds."""

from saddlepoint.audit.proving.proofs import Proofs
from saddlepoint.audit.proving.settings import Verification

__all__ = ["Proofs", "Verification"]
