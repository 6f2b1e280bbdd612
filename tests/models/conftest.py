"""The ledger's triggers, tried."""

from __future__ import annotations
