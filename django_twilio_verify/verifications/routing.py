"""Which Verify Service carries a proof, where a site has several: one for each brand, country, tenant or purpose.

``TWILIO_VERIFY_ROUTER`` is asked once, when a verification starts and its caller named no backend. From then on the
verification keeps its alias: a resend, another way and every answer go to the Service that made the code. A factor that
the provider keeps stays where it was enrolled, and is asked there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured

from ..backends.handler import backends
from ..backends.threads import query_twin_of
from ..choices import Channel, FactorKind, Purpose
from ..conf import settings
from ..core.client import ClientInfo
from ..core.recipients import Recipient

DEFAULT = "default"
"""The alias where there is no router, or it has no opinion."""


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What a router may decide by.

    ``recipient``: where the code goes; its ``country`` is ISO 3166. ``None`` where nothing is sent: for the factors
    that the provider keeps, ``totp``, ``push`` and ``passkey``. ``channel``: how. ``purpose``: why. ``user``: whose
    proof it is, ``None`` for a visitor. ``client``: the other end; the host of ``client.page`` tells brands apart,
    ``client.tenant`` tenants, ``client.language`` languages.
    """

    recipient: Recipient | None
    channel: Channel
    purpose: Purpose = Purpose.VERIFY
    user: AbstractBaseUser | None = field(default=None, repr=False)
    client: ClientInfo = field(default_factory=ClientInfo)

    @classmethod
    def of_device(
        cls, kind: FactorKind, purpose: Purpose, user: AbstractBaseUser | None, client: ClientInfo
    ) -> RouteRequest:
        """For a factor of ``kind``, which the provider keeps."""
        return cls(None, Channel(kind.value), purpose, user, client)


def choose(request: RouteRequest) -> str:
    """The alias that ``TWILIO_VERIFY_ROUTER`` names for ``request``; ``"default"`` without a router, or if it answers
    ``None``.

    Raises ``ImproperlyConfigured``, naming the setting, for a router that cannot be imported, raises, or names what is
    no alias of ``TWILIO_VERIFY_BACKENDS``: better no code than one in another brand's name.
    """
    router = settings.router
    if router is None:
        return DEFAULT
    try:
        alias = router(request)
    except Exception as error:
        # SECURITY: the class alone: the text may quote the recipient. The error itself is the cause, for its author.
        raise ImproperlyConfigured(f"TWILIO_VERIFY_ROUTER raised {type(error).__name__}.{_hint(request)}") from error
    if alias is None:
        return DEFAULT
    if not isinstance(alias, str) or alias not in settings.backends:
        known = ", ".join(settings.backends)
        # SECURITY: what it answered is not shown: it may be the recipient.
        raise ImproperlyConfigured(f"TWILIO_VERIFY_ROUTER named no alias of TWILIO_VERIFY_BACKENDS. Aliases: {known}.")
    return alias


achoose = query_twin_of(choose)


def possible() -> tuple[str, ...]:
    """The aliases that ``choose`` may answer, where it is not known yet what it would be asked."""
    return (DEFAULT,) if settings.router is None else tuple(settings.backends)


def keeps(aliases: Iterable[str], kind: FactorKind) -> bool:
    """Whether any of ``aliases`` keeps factors of ``kind``."""
    return any(kind in backends[alias].factor_kinds for alias in aliases)


def _hint(request: RouteRequest) -> str:
    """What its author most likely forgot: routers were once asked for messages alone."""
    return "" if request.recipient else f" For {request.channel.value!r} there is no recipient: it is None."
