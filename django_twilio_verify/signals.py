"""Signals: what happened, for the site's receivers.

Every signal carries ``user`` (whose account it is about, or ``None``) and ``client`` (from where, or ``None``) besides
the arguments named here. ``ALL`` lists them. None carries a code, nor more of a recipient than the record does.

Receivers run once the fact is on record: outside of the flow's transactions, and in a transaction of the site's when
that commits. What one raises is logged at ERROR and changes nothing else (``core.receivers``). ``login_deciding`` alone
decides something, so what its receivers raise reaches the login.
"""

from __future__ import annotations

from typing import Any

from django import dispatch


class Signal(dispatch.Signal):
    """A signal that knows its ``name``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return f"<Signal {self.name}>"

    def _log_robust_failure(self, receiver: Any, err: BaseException) -> None:
        """Leave the log to ``core.receivers``.

        SECURITY: Django logs the error with its context, whose frames hold the code that somebody typed.
        """


verification_sent: Signal = Signal("verification_sent")
"""A message was handed to the provider, or may have been. ``verification``, ``attempt`` (``None`` where a factor was
challenged), ``is_resend``.
"""

verification_approved: Signal = Signal("verification_approved")
"""A verification was approved; sent exactly once for each. ``verification``."""

check_failed: Signal = Signal("check_failed")
"""An answer was wrong, malformed, late or one too many. ``verification`` (``None`` for a recovery code), ``outcome`` (a
``CheckOutcome``), ``checks_left`` (``None`` for a recovery code), ``purpose`` (a ``Purpose``). The sender is
``Verification`` or ``RecoveryCode``.
"""

locked_out: Signal = Signal("locked_out")
"""A limit refused a send or an answer; sent once for each window and subject of the limit. ``reason`` (a code of
``RateLimited``, ``"no_checks_left"`` or ``"factor_held"``), ``until`` (aware time, ``None`` for a factor that is held
until its user gets in another way), ``recipient_country`` (as ``"AT"``, or ``""``), ``factor`` (or ``None``).
"""

login_completed: Signal = Signal("login_completed")
"""A pending login was completed. ``request``, ``channel``, ``trusted_browser`` (the ``TrustedBrowser`` that this login
made, or ``None``).
"""

step_up_completed: Signal = Signal("step_up_completed")
"""A signed-in user verified a factor, as a step-up or by enrolling it. ``request``, ``channel`` (``""`` for a device of
another app), ``factor`` (``None`` for a recovery code or a device of another app).
"""

login_denied: Signal = Signal("login_denied")
"""A user answered a push with no: an attacker may know the password. Sent once for each verification.
``verification``.
"""

login_deciding: Signal = Signal("login_deciding")
"""A login is about to be decided: a receiver that knows of a factor verified with it calls
``login.completion.mark_passed``. ``request``. Sent by ``send``: what a receiver raises ends the login.
"""

impersonation_started: Signal = Signal("impersonation_started")
"""A staff member acts as ``user`` from now on (``login.impersonation.act_as``). ``request``, ``impersonator``."""

impersonation_ended: Signal = Signal("impersonation_ended")
"""A staff member who acted as ``user`` (``None`` if the account is gone) is back in a session of their own.
``request``, ``impersonator``.
"""

factor_added: Signal = Signal("factor_added")
"""A user enrolled a factor; sent once for each factor. ``factor``, ``replaced`` (the factor, no longer in the database,
whose place it took, or ``None``), ``shared_with`` (how many other users have confirmed the same recipient).
"""

factor_removed: Signal = Signal("factor_removed")
"""A factor was removed by its user, replaced, or removed by a reset; not where its row was deleted otherwise.
``factor`` (no longer in the database), ``replaced_by`` (the factor that took its place, or ``None``), ``reset`` (the
``FactorReset`` that removed all factors of the user, or ``None``).
"""

factors_reset: Signal = Signal("factors_reset")
"""A reset was carried out: the user has no factor, recovery code or trusted browser left. Sent once for each, after
``factor_removed`` for each factor. ``reset`` (a ``FactorReset``).
"""

default_factor_changed: Signal = Signal("default_factor_changed")
"""A user chose which factor is challenged first. ``factor``."""

recovery_codes_created: Signal = Signal("recovery_codes_created")
"""A user was given a new set of recovery codes, in place of any earlier one. ``remaining`` (how many there are)."""

recovery_code_used: Signal = Signal("recovery_code_used")
"""A recovery code was used. ``remaining`` (how many are left)."""

browser_trusted: Signal = Signal("browser_trusted")
"""A user chose to trust a browser. ``browser`` (a ``TrustedBrowser``)."""

browsers_revoked: Signal = Signal("browsers_revoked")
"""Trusted browsers of a user were revoked. ``count``."""

consent_recorded: Signal = Signal("consent_recorded")
"""A consent event was written. ``event`` (a ``ConsentEvent``)."""

channel_unavailable: Signal = Signal("channel_unavailable")
"""The provider refuses a channel for everybody, as switched off or not set up; sent once for each outage. ``outage`` (a
``ChannelOutage``).
"""

notice_sent: Signal = Signal("notice_sent")
"""A user was told, by email where the account has an address, of something done to it. ``notice`` (a ``Notice``),
``factor`` (what it is about, or ``None``), ``emails_sent`` (how many went out).
"""

ALL = (
    verification_sent,
    verification_approved,
    check_failed,
    locked_out,
    login_completed,
    step_up_completed,
    login_denied,
    login_deciding,
    impersonation_started,
    impersonation_ended,
    factor_added,
    factor_removed,
    factors_reset,
    default_factor_changed,
    recovery_codes_created,
    recovery_code_used,
    browser_trusted,
    browsers_revoked,
    consent_recorded,
    channel_unavailable,
    notice_sent,
)
"""Every signal, as ``@receiver(signals.ALL)`` takes them."""

__all__ = [
    "ALL",
    "browser_trusted",
    "browsers_revoked",
    "channel_unavailable",
    "check_failed",
    "consent_recorded",
    "default_factor_changed",
    "factor_added",
    "factor_removed",
    "factors_reset",
    "impersonation_ended",
    "impersonation_started",
    "locked_out",
    "login_completed",
    "login_deciding",
    "login_denied",
    "notice_sent",
    "recovery_code_used",
    "recovery_codes_created",
    "step_up_completed",
    "verification_approved",
    "verification_sent",
]
