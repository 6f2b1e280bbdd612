"""What became of a send, as the provider tells later: one settling for what is pulled and for what is pushed.

News may come late, twice, and in any order. A record is therefore never "set": of what it says and what the news says,
the later stage stands (``Record.told``), so that any order of the same news ends in the same record.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum

from django.db.models import Q

from ..backends.results import ProviderAttempt
from ..backends.twilio.errors import delivery_meaning
from ..choices import AttemptStatus, Channel
from ..consent import opt_outs
from ..models import Verification, VerificationAttempt

logger = logging.getLogger("django_twilio_verify")

CUT_SHORT = timedelta(minutes=5)
"""A send that is still reserved after this was cut short: no request to the provider lasts so long."""

_STAGES = (
    ("",),
    ("accepted", "scheduled", "initiated"),
    ("queued",),
    ("sending", "ringing"),
    ("sent", "in-progress"),
    # An end. Of two ends the later one stands; at the same instant the one further right.
    ("canceled", "busy", "no-answer", "undelivered", "failed", "completed", "delivered"),
    ("read",),
)
"""The words of messages and calls, as far as they have come (docs/messaging/api/message-resource#message-status-values,
docs/voice/api/call-resource#call-status-values).
"""
_RANKS = {word: (stage, place) for stage, words in enumerate(_STAGES) for place, word in enumerate(words)}
_NEVER = datetime.min.replace(tzinfo=UTC)

# The list of attempts says rbm and call where events say RCS and Voice.
_SPELLINGS = {"rcs": "rbm", "voice": "call"}
# By which ways that were asked for may a message have gone as … (verify/fallback-scenarios, verify/whatsapp)?
_ASKED_FOR: Mapping[str, tuple[Channel, ...]] = {
    "sms": (Channel.SMS, Channel.WHATSAPP, Channel.AUTO),
    "rbm": (Channel.SMS, Channel.WHATSAPP, Channel.AUTO),
    "whatsapp": (Channel.WHATSAPP, Channel.SMS),
    "sna": (Channel.SNA, Channel.AUTO),
}
_UNSETTLED = (AttemptStatus.RESERVED, AttemptStatus.PERHAPS_SENT)
_PRICES = Decimal("0.00001")
_MOST = Decimal(100_000)
_TRIES = 10


class Outcome(Enum):
    """What news of an attempt came to."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"  # known already, or overtaken by later news
    STRANGER = "stranger"  # no send of ours


class Contended(RuntimeError):
    """Others wrote to the same attempt each time that this call tried."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the record of an attempt says of its fate."""

    sid: str
    status: str
    channel_used: str
    delivery: str
    delivery_at: datetime | None
    error_code: int | None
    converted: bool | None
    price: Decimal | None
    currency: str

    @classmethod
    def of(cls, attempt: VerificationAttempt) -> Record:
        return cls(*(getattr(attempt, field.name) for field in fields(cls)))

    def told(self, news: ProviderAttempt) -> Record:
        """The record with ``news``: the same whatever the order and however often.

        A later stage replaces an earlier one; of one stage, the later ``at``. A right answer stays one. Channel and
        price fill in. A word that is none of ``_STAGES`` says nothing.
        """
        told = replace(self, sid=self.sid or news.sid, converted=self._converted(news))._priced(news)
        if self.status in _UNSETTLED:
            # The provider has it, so it was taken; what the lost answer seemed to say is void.
            told = replace(told, status=AttemptStatus.SENT.value, error_code=None)
        word, channel = _word(news), _spelt(news.channel)
        if word and _place(word, news.at, news.error_code) > told._stands_at:
            return replace(
                told,
                delivery=word,
                delivery_at=news.at,
                error_code=news.error_code or None,
                channel_used=channel or told.channel_used,
            )
        return replace(told, channel_used=told.channel_used or channel)

    @property
    def _stands_at(self) -> tuple[int, datetime, int, int]:
        return _place(self.delivery, self.delivery_at, self.error_code or 0)

    def _converted(self, news: ProviderAttempt) -> bool | None:
        return news.converted if self.converted is None else self.converted or bool(news.converted)

    def _priced(self, news: ProviderAttempt) -> Record:
        price = _price(news.price)
        if self.price is not None or price is None:
            return self
        currency = news.currency.upper()
        known = len(currency) == 3 and currency.isascii() and currency.isalpha()
        return replace(self, price=price, currency=currency if known else "")


def settle(news: ProviderAttempt, attempt: VerificationAttempt | None, now: datetime) -> Outcome:
    """Write what ``news`` says into the record of ``attempt`` (``find`` found it), by one conditional update.

    Safe to call twice, in any order and beside others, within a transaction or without. An error that means the holder
    has stopped the messages reaches consent, once: with the change that tells of it. Raises ``Contended``.
    """
    for _ in range(_TRIES):
        if attempt is None or attempt.sid not in ("", news.sid):
            return Outcome.STRANGER  # the second: somebody else's news has named it meanwhile
        before = Record.of(attempt)
        after = before.told(news)
        if after == before:
            return Outcome.UNCHANGED
        # First, so that a process that dies in between hears it again; the same opt-out heard twice is one.
        if _tells_of_stop(after) and not _tells_of_stop(before):
            _opt_out(attempt, after)
        if _write(attempt, before, after, now):
            _name(attempt, news)
            return Outcome.CHANGED
        attempt = VerificationAttempt.objects.filter(pk=attempt.pk).first()
    raise Contended


def is_known(news: ProviderAttempt, attempt: VerificationAttempt) -> bool:
    """Whether the record, as ``attempt`` has it, says all that ``news`` says."""
    before = Record.of(attempt)
    return before.told(news) == before


def find(
    news: Sequence[ProviderAttempt], *, backends: Collection[str], now: datetime
) -> list[VerificationAttempt | None]:
    """The sends of ours that ``news`` is of, in the same order; ``None`` for those that are not ours.

    By the attempt's SID. A send whose answer was lost has none: it is found by the tag that went with it, or by its
    verification's SID, if exactly one such send fits the channel. SECURITY: ``backends`` are those whose provider says
    so, and other backends' records are out of its reach.
    """
    ours = VerificationAttempt.objects.filter(verification__backend__in=backends)
    by_sid = {one.sid: one for one in ours.filter(sid__in={one.sid for one in news if one.sid})}
    lost = [one for one in news if one.sid not in by_sid]
    nameless = _nameless(lost, backends) if lost else []
    return [by_sid.get(one.sid) or _only([known for known in nameless if _fits(one, known, now)]) for one in news]


def _nameless(news: Sequence[ProviderAttempt], backends: Collection[str]) -> list[VerificationAttempt]:
    """Sends without a SID, of the verifications that ``news`` names."""
    sids = {one.verification_sid for one in news if one.verification_sid}
    ids = {found for one in news if (found := _tagged(one))}
    if not (sids or ids):
        return []
    # From the verification, whose indexes find it; attempts without a SID may be many.
    verifications = Verification.objects.filter(Q(sid__in=sids) | Q(pk__in=ids), backend__in=backends)
    pks = [pk for (pk,) in verifications.values_list("pk")]
    known = VerificationAttempt.objects.filter(verification__in=pks, sid="", status__in=(*_UNSETTLED, "sent"))
    return list(known.select_related("verification")) if pks else []


def _fits(news: ProviderAttempt, attempt: VerificationAttempt, now: datetime) -> bool:
    channel, verification = _spelt(news.channel), attempt.verification
    if not news.sid or attempt.channel not in _ASKED_FOR.get(channel, (channel,)):
        return False
    if (tagged := _tagged(news)) is not None:
        return verification.pk == tagged and verification.sid in ("", news.verification_sid)
    # Two sessions that prove one number share a verification of the provider's. While a call is under way, its answer
    # will name the attempt; until then this may be the other session's.
    settled = attempt.status != AttemptStatus.RESERVED or attempt.created_at <= now - CUT_SHORT
    return settled and verification.sid == news.verification_sid


def _only(fitting: Sequence[VerificationAttempt]) -> VerificationAttempt | None:
    # Of two, neither: a guess would hang the fate and the price of one message on another.
    return fitting[0] if len(fitting) == 1 else None


def _tagged(news: ProviderAttempt) -> uuid.UUID | None:
    try:
        return uuid.UUID(news.tag) if news.tag else None
    except ValueError:
        return None


def _write(attempt: VerificationAttempt, before: Record, after: Record, now: datetime) -> bool:
    """Whether the row was still as read, and is now as ``after`` says."""
    changed = {one.name: getattr(after, one.name) for one in fields(Record) if _differ(one.name, before, after)}
    row = VerificationAttempt.objects.filter(pk=attempt.pk)
    for field in fields(Record):
        value = getattr(before, field.name)
        row = row.filter(**{f"{field.name}__isnull": True} if value is None else {field.name: value})
    if before.status == AttemptStatus.RESERVED:
        changed["settled_at"] = now
    return bool(row.update(**changed))


def _differ(name: str, before: Record, after: Record) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def _name(attempt: VerificationAttempt, news: ProviderAttempt) -> None:
    """A first send whose answer was lost left its verification without a SID too: checks then go by the address."""
    if not attempt.sid and news.verification_sid:
        Verification.objects.filter(pk=attempt.verification_id).record_lost_sid(news.verification_sid)


def _tells_of_stop(record: Record) -> bool:
    return record.error_code is not None and delivery_meaning(record.error_code).opted_out


def _opt_out(attempt: VerificationAttempt, after: Record) -> None:
    """The holder has sent STOP: from here on nobody's sends go there by the channel that was really used."""
    verification = attempt.verification
    if not verification.recipient_value:
        # An opt-out is recorded with the address, which was erased. The next send to it, if ever, is refused by the
        # provider with the same error, and recorded then.
        logger.warning("Opt-out of an erased recipient: attempt=%s", attempt.pk)
        return
    try:
        channel = Channel.parse({"rbm": "sms"}.get(after.channel_used, after.channel_used))
    except ValueError:
        channel = Channel(attempt.channel)
    opt_outs.opted_out(
        recipient=verification.recipient,
        channel=channel.consent_channel,
        origin=after.sid or f"attempt:{attempt.pk}",
        received_at=after.delivery_at,
    )


def _word(news: ProviderAttempt) -> str:
    word = news.message_status.strip().lower().replace("_", "-")
    if word in _RANKS and word:
        return word
    # Some ways report an error and no word: it did not arrive.
    return "failed" if news.error_code else ""


def _spelt(channel: str) -> str:
    lowered = channel.strip().lower()[:16]
    return _SPELLINGS.get(lowered, lowered)


def _place(word: str, at: datetime | None, error_code: int) -> tuple[int, datetime, int, int]:
    stage, place = _RANKS.get(word, (0, 0))
    return stage, at or _NEVER, place, error_code


def _price(text: str) -> Decimal | None:
    """A price that the column can hold. Not zero: that may be a price that is still to come, and would keep it out."""
    try:
        price = Decimal(text)
        rounded = price.quantize(_PRICES) if price.is_finite() and abs(price) < _MOST else Decimal(0)
    except InvalidOperation:
        return None
    return rounded or None
