"""What is done with evidence leaves an event of its own: this is the only code that writes one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.db import router

from ..choices import AuditKind
from ..models import AuditEvent
from ..models.clock import database_now


def record(
    kind: AuditKind,
    *,
    actor: str,
    reason: str = "",
    fingerprint: str = "",
    details: Mapping[str, object] | None = None,
) -> AuditEvent:
    """Write down that ``actor`` (a user name, or who gave a command) did ``kind`` with evidence.

    ``fingerprint``: of the recipient, where it was about one. ``details``: counts and digests that JSON can hold, no
    personal data. Raises ``ValueError`` without an actor: nobody looks after evidence anonymously.
    """
    actor = cleaned(actor)
    if not actor:
        raise ValueError("Say who does it.")
    using = database()
    return AuditEvent.objects.using(using).create(
        kind=kind.value,
        actor_label=actor[:150],
        reason=cleaned(reason),
        recipient_fingerprint=fingerprint,
        details=json.dumps(details or {}, sort_keys=True, ensure_ascii=False),
        occurred_at=database_now(using),
    )


def cleaned(text: str) -> str:
    """``text`` as every database keeps it: without NUL, and without space around it."""
    return text.replace("\0", "").strip()


def database() -> str:
    """Where audit events are written."""
    return router.db_for_write(AuditEvent)
