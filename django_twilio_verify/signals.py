"""Signals. Receivers run after the transaction of the flow that sends them, never inside it.

Every signal is sent with ``sender`` the class of the record, and keyword arguments as listed.
No signal carries a code, and none carries more of a recipient than the record does.
"""

from django.dispatch import Signal

verification_started = Signal()
"""A message was handed to the provider, or perhaps was. ``verification``, ``attempt`` (``None`` if a factor that the
provider keeps was asked).
"""

verification_approved = Signal()
"""A verification was approved; sent exactly once for each. ``verification``."""

verification_refused = Signal()
"""An answer was wrong, late or one too many. ``verification``, ``outcome`` (a ``CheckOutcome``)."""

login_denied = Signal()
"""A person answered a push with no: somebody else may know the password. Sent once for each verification.
``verification``, ``user``.
"""

channel_unavailable = Signal()
"""The provider refuses a channel for everybody, as switched off or not set up; sent once for each outage.
``outage`` (a ``ChannelOutage``).
"""

consent_changed = Signal()
"""A consent event was written. ``event``."""

factor_confirmed = Signal()
"""A person enrolled a factor; sent once for each factor. ``factor``, ``user``, ``client`` (from where, or ``None``),
``replaced`` (the factor, no longer in the database, whose place it took, or ``None``).
"""

factor_shared = Signal()
"""A factor was confirmed whose number or address others have confirmed too. Allowed, and nothing that the person is
told. ``factor``, ``user``, ``others`` (how many people).
"""

factor_removed = Signal()
"""A person's factor was removed by ``devices.remove``, replaced, or removed by a reset; not where its row went
another way. ``factor`` (no longer in the database), ``user``, ``client`` (from where, or ``None``), ``replaced_by``
(the factor that took its place, or ``None``), ``reset`` (the ``FactorReset`` that took all of the person's, or
``None``).
"""

factor_held = Signal()
"""A factor takes no more answers after 50 consecutive failures: somebody may know the password. Sent once for each time
it is held. ``factor``, ``user``, ``client`` (of the last failure).
"""

factors_reset = Signal()
"""A reset was carried out: the person has no factor, recovery code or trusted browser any more. Sent once for each,
after ``factor_removed`` for each factor. ``reset`` (a ``FactorReset``), ``user``.
"""

default_changed = Signal()
"""A person chose which factor is asked first. ``factor``, ``user``, ``client``."""

browser_trusted = Signal()
"""A person chose not to be asked for a second factor on a browser for a while. ``browser`` (a ``TrustedBrowser``),
``user``.
"""

browsers_revoked = Signal()
"""Trusted browsers of a person were revoked. Sent with ``sender`` the class ``TrustedBrowser``. ``user``, ``count``."""

recovery_code_used = Signal()
"""A recovery code was spent. ``user``, ``remaining`` (how many are left)."""

second_factor_passed = Signal()
"""A pending sign-in was completed. ``request``, ``user``, ``channel``."""

login_deciding = Signal()
"""The wall is about to decide what a sign-in owes: a receiver that knows of a proof that came with it calls
``login.completion.mark_passed``. ``request``, ``user``.
"""

impersonation_started = Signal()
"""A staff member acts as another user from now on (``login.impersonation.act_as``). ``request``, ``user``,
``impersonator``.
"""

impersonation_ended = Signal()
"""A staff member who acted as another user is back in a session of their own. ``request``, ``user`` (``None`` if the
account is gone), ``impersonator``.
"""

factor_proved = Signal()
"""Somebody who is signed in proved a factor, as a step-up or by enrolling it. ``request``, ``user``, ``channel``
(``""`` for a device of another app).
"""

notice_sent = Signal()
"""A person was told, by email where the account has an address, of something done to it. Sent with ``sender`` the class
``Notice``. ``notice`` (a ``Notice``), ``user``, ``factor`` (what it is about, or ``None``), ``letters`` (how many went
out).
"""
