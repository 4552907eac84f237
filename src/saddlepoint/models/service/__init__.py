"""A model behind HTTP: described in a TOML file, paid for by the query, asked through a ledger."""

from saddlepoint.models.service.load import load_service, open_service

__all__ = ["load_service", "open_service"]
