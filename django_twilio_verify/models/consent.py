"""The consent ledger: what was shown, what was done, and apart from it who it was.

Rows of ``Disclosure`` and ``ConsentEvent`` are never changed or deleted: triggers of the database refuse it (migration
``0002``). No foreign key leads from here to the site's tables, so deleting a user touches none of it and a database
router may keep them elsewhere (``models.ledger.LEDGER_MODELS``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..choices import (
    FOR_EVERYBODY,
    LIVE_CONSENT,
    Actor,
    Channel,
    ConsentEventType,
    ConsentMedium,
    PersonKind,
    Purpose,
    RecipientKind,
)


class Disclosure(models.Model):
    """The exact words shown when consent was asked, found by their own digest, never edited."""

    digest: models.CharField[str, str] = models.CharField(_("SHA-256"), max_length=64, unique=True)
    record_version: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(_("record format"))
    channel: models.CharField[str, str] = models.CharField(_("way"), max_length=12, choices=Channel)
    language: models.CharField[str, str] = models.CharField(_("language"), max_length=16)
    text: models.TextField[str, str] = models.TextField(_("text as shown"))
    checkbox_label: models.TextField[str, str] = models.TextField(_("label of the box"))
    terms_url: models.TextField[str, str] = models.TextField(_("terms"), blank=True)
    terms_digest: models.CharField[str, str] = models.CharField(_("SHA-256 of the terms"), max_length=64, blank=True)
    privacy_url: models.TextField[str, str] = models.TextField(_("privacy policy"), blank=True)
    privacy_digest: models.CharField[str, str] = models.CharField(
        _("SHA-256 of the privacy policy"), max_length=64, blank=True
    )
    first_used_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("first used"))

    class Meta:
        verbose_name = _("disclosure")
        verbose_name_plural = _("disclosures")

    def __str__(self) -> str:
        return f"{self.channel} {self.language} {self.digest[:12]}"


class ConsentEventQuerySet(models.QuerySet["ConsentEvent"]):
    """Filters on consent."""

    def deciding(self, persons: Iterable[str], recipients: Iterable[str], channel: str) -> ConsentEventQuerySet:
        """Return the events that decide whether ``channel`` may carry to a recipient for a person, newest first.

        The newest one of the person, and the newest one of each type that bears on everybody. Each is found by an
        index, so the cost does not grow with the number of events. ``has_evidence``: whether the personal half is kept.

        Args:
            persons: The person's fingerprints under every key; none for whoever holds the address.
            recipients: The recipient's fingerprints under every key.
        """
        found = Q(pk__in=())
        for recipient in recipients:
            here = self.model.objects.using(self.db).filter(recipient_fingerprint=recipient, channel=channel)
            for person in persons:
                found |= _newest(here.filter(person_fingerprint=person))
            for event in FOR_EVERYBODY:
                found |= _newest(here.filter(event=event))
        proof = ConsentEvidence.objects.using(self.db).filter(event=models.OuterRef("pk"))
        return self.filter(found).annotate(has_evidence=models.Exists(proof)).order_by("-id")

    def newest_concerning(self, recipients: Iterable[str], channel: str) -> ConsentEventQuerySet:
        """Return the newest event of a recipient by ``channel``, whoever it is of; one for each fingerprint."""
        found = Q(pk__in=())
        for recipient in recipients:
            found |= _newest(self.model.objects.using(self.db).filter(recipient_fingerprint=recipient, channel=channel))
        return self.filter(found).order_by("-id")


def _newest(events: models.QuerySet[ConsentEvent]) -> Q:
    # One equality for each column of an index and LIMIT 1: every database reads a single entry. With IN, or with OR
    # over two columns, it would read every event of the recipient and sort them.
    return Q(pk=models.Subquery(events.order_by("-id").values("pk")[:1]))


class ConsentEvent(models.Model):
    """One thing that happened to consent. Holds no personal data: those are in ``ConsentEvidence``.

    ``digest`` is over the canonical bytes of all other fields but ``id`` (``ledger.records.canonical``), and
    ``commitment`` is a salted digest over the personal half: erasing that half leaves this row provable.
    """

    event: models.CharField[str, str] = models.CharField(_("event"), max_length=12, choices=ConsentEventType)
    channel: models.CharField[str, str] = models.CharField(_("way"), max_length=12, choices=Channel)
    purpose: models.CharField[str, str] = models.CharField(_("purpose"), max_length=12, choices=Purpose)
    disclosure: models.ForeignKey[Disclosure | None, Disclosure | None] = models.ForeignKey(
        Disclosure, models.PROTECT, null=True, related_name="events", verbose_name=_("disclosure")
    )
    language: models.CharField[str, str] = models.CharField(_("language"), max_length=16, blank=True)
    medium: models.CharField[str, str] = models.CharField(_("medium"), max_length=12, choices=ConsentMedium)
    control: models.CharField[str, str] = models.CharField(_("control"), max_length=32, blank=True)
    control_default: models.BooleanField[bool, bool] = models.BooleanField(
        _("control was set beforehand"), default=False
    )
    control_final: models.BooleanField[bool, bool] = models.BooleanField(_("control was set in the end"), default=False)
    button_label: models.CharField[str, str] = models.CharField(_("button"), max_length=80, blank=True)
    person_kind: models.CharField[str, str] = models.CharField(_("person known by"), max_length=8, choices=PersonKind)
    person_fingerprint: models.CharField[str, str] = models.CharField(_("person"), max_length=56)
    recipient_kind: models.CharField[str, str] = models.CharField(
        _("kind of address"), max_length=8, choices=RecipientKind
    )
    recipient_fingerprint: models.CharField[str, str] = models.CharField(_("recipient"), max_length=56)
    country: models.CharField[str, str] = models.CharField(_("country"), max_length=2, blank=True)
    previous: models.ForeignKey[ConsentEvent | None, ConsentEvent | None] = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="+", verbose_name=_("follows from")
    )
    occurred_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("time"))
    actor: models.CharField[str, str] = models.CharField(
        _("done by"), max_length=8, choices=Actor, default=Actor.PERSON
    )
    actor_fingerprint: models.CharField[str, str] = models.CharField(_("done by whom"), max_length=56, blank=True)
    origin: models.CharField[str, str] = models.CharField(_("origin"), max_length=64, blank=True)
    """Where it came from: an import's name, the attempt whose delivery told of it, a request's id."""
    document_digest: models.CharField[str, str] = models.CharField(
        _("SHA-256 of the document"), max_length=64, blank=True
    )
    received_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("request received"), null=True
    )
    honour_by: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("to be honoured by"), null=True
    )
    honoured_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("honoured"), null=True)
    record_version: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(_("record format"))
    commitment: models.CharField[str, str] = models.CharField(_("commitment"), max_length=64)
    digest: models.CharField[str, str] = models.CharField(_("SHA-256"), max_length=64, unique=True)
    place: models.CharField[str | None, str | None] = models.CharField(max_length=40, null=True, editable=False)  # noqa: DJ001  NULLs do not clash
    """The place in the chain that the event took (``ledger.records.place``): unique, so that of two which follow from
    one event, for one person, recipient and way, the database refuses the second. It says nothing that the digest
    does not cover, and is not part of it."""

    objects: ClassVar[models.Manager[ConsentEvent]] = ConsentEventQuerySet.as_manager()

    if TYPE_CHECKING:
        disclosure_id: int | None
        previous_id: int | None
        evidence: ConsentEvidence

    class Meta:
        verbose_name = _("consent event")
        verbose_name_plural = _("consent events")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["recipient_fingerprint", "channel", "-id"], name="tv_consent_recipient"),
            models.Index(
                fields=["recipient_fingerprint", "channel", "person_fingerprint", "-id"], name="tv_consent_decides"
            ),
            models.Index(fields=["recipient_fingerprint", "channel", "event", "-id"], name="tv_consent_everybody"),
            models.Index(
                fields=["person_fingerprint", "recipient_fingerprint", "channel", "-id"], name="tv_consent_person"
            ),
            # By time alone, and with all that the charts count: they read no row.
            models.Index(fields=["occurred_at", "channel", "event", "country"], name="tv_consent_time"),
            models.Index(fields=["honour_by", "honoured_at", "id"], name="tv_consent_deadline"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["place"], name="tv_consent_place"),
        ]
        permissions = [
            ("view_unmasked", "Can see evidence unmasked"),
            ("export_evidence", "Can export evidence"),
            ("erase_evidence", "Can erase evidence"),
            ("release_opt_out", "Can release opt-outs"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.channel} {self.digest[:12]}"

    @property
    def is_live(self) -> bool:
        """Whether this event, as the latest one, lets messages go out."""
        return self.event in LIVE_CONSENT


class ConsentEvidence(models.Model):
    """The personal half of an event. May be erased; the event's ``commitment`` then stays as the proof.

    ``salt`` is 32 random bytes in hex: without it the commitment says nothing, not even to who guesses the number.
    """

    event: models.OneToOneField[ConsentEvent, ConsentEvent] = models.OneToOneField(
        ConsentEvent,
        models.PROTECT,
        primary_key=True,
        related_name="evidence",
        verbose_name=_("event"),
    )
    salt: models.CharField[str, str] = models.CharField(max_length=64)
    recipient: models.CharField[str, str] = models.CharField(_("recipient"), max_length=254)
    person_label: models.CharField[str, str] = models.CharField(_("person"), max_length=150, blank=True)
    ip: models.GenericIPAddressField[str | None, str | None] = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent: models.TextField[str, str] = models.TextField(_("browser"), blank=True)
    page: models.TextField[str, str] = models.TextField(_("page"), blank=True)
    actor_label: models.CharField[str, str] = models.CharField(_("done by"), max_length=150, blank=True)
    note: models.TextField[str, str] = models.TextField(_("words or reason"), blank=True)
    """The words of a request to stop, or why staff recorded what they did."""

    if TYPE_CHECKING:
        event_id: int

    class Meta:
        verbose_name = _("consent evidence")
        verbose_name_plural = _("consent evidence")

    def __str__(self) -> str:
        return f"evidence of event {self.event_id}"
