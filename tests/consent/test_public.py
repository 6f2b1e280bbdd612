"""The public functions of consent: sync and async alike, and errors that name what is wrong with an argument."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject

from django_twilio_verify import consent
from django_twilio_verify.choices import Actor, AuditKind, Channel, ConsentMedium
from django_twilio_verify.consent import ConsentContext
from django_twilio_verify.consent.gate import Gate, NewConsent
from django_twilio_verify.exceptions import ConsentRequired, InvalidRecipient
from django_twilio_verify.models import AuditEvent, ConsentEvent, ConsentEvidence
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db
Call = Callable[..., Any]
FUNCTIONS = [
    *("get_disclosure", "grant", "find", "require", "withdraw", "opt_out", "release_opt_out", "invalidate"),
    *("expire", "record", "list_consents"),
]
TYPES = ["ConsentContext", "ConsentState", "Disclosure"]
PAPER_DIGEST = "a" * 64


@pytest.fixture(params=["sync", "async"])
def call(request: Any) -> Call:
    """Call a public function of that name, or its twin."""

    def sync(name: str, *args: Any, **values: Any) -> Any:
        return getattr(consent, name)(*args, **values)

    def awaited(name: str, *args: Any, **values: Any) -> Any:
        return async_to_sync(getattr(consent, f"a{name}"))(*args, **values)

    return sync if request.param == "sync" else awaited


def events() -> list[str]:
    return list(ConsentEvent.objects.order_by("pk").values_list("event", flat=True))


# ------------------------------------------------------------------------------------------------- what is exported


def test_the_package_exports_the_functions_their_twins_and_three_types() -> None:
    assert sorted(consent.__all__) == sorted([*FUNCTIONS, *(f"a{name}" for name in FUNCTIONS), *TYPES])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_a_twin_and_a_docstring_with_sections(name: str) -> None:
    function, twin = getattr(consent, name), getattr(consent, f"a{name}")
    assert inspect.iscoroutinefunction(twin) and not inspect.iscoroutinefunction(function)
    assert inspect.signature(twin) == inspect.signature(function)
    assert twin.__name__ == f"a{name}"
    docstring = inspect.getdoc(function) or ""
    sections = [section for section in ("Args:", "Returns:", "Raises:") if f"\n{section}\n" in docstring]
    assert sections == ["Args:", "Returns:", "Raises:"]
    described = docstring.partition("Args:")[2].partition("Returns:")[0]
    assert [one for one in inspect.signature(function).parameters if f"\n    {one}: " not in described] == []


# --------------------------------------------------------------------------------------- one table, sync and async


def test_a_visitor_agrees_and_takes_it_back(call: Call) -> None:
    to = {"recipient": PHONE, "channel": "sms", "client": make_client()}
    assert call("find", **to) is None
    words = call("get_disclosure", "sms")
    context = ConsentContext.checkbox(button_label="Text me a code")
    event = call("grant", **to, disclosure=words.digest, context=context)
    assert (event.medium, event.control, event.button_label) == ("web", "checkbox", "Text me a code")
    assert (event.control_default, event.control_final) == (False, True)
    assert call("grant", **to, disclosure=words) == event
    assert call("find", **to) == call("require", **to) == event
    assert call("withdraw", **to).event == "withdrawn"
    assert call("withdraw", **to) is None and call("find", **to) is None


def test_an_opt_out_stops_everybody_until_staff_release_it(call: Call) -> None:
    to, carla = {"recipient": PHONE, "channel": "sms"}, make_user("carla")
    words = call("get_disclosure", "sms")
    assert call("release_opt_out", **to, staff=carla, reason="A slip.") is None
    assert not AuditEvent.objects.exists()
    assert call("opt_out", **to).event == "opted_out"
    assert call("opt_out", **to) is None
    with pytest.raises(ConsentRequired) as refused:
        call("grant", **to, client=make_client(), disclosure=words)
    assert refused.value.code == "consent_opted_out"
    released = call("release_opt_out", **to, staff=carla, reason="Asked at the counter, ID seen.")
    assert (released.event, released.actor, released.medium) == ("released", "staff", "admin")
    assert released.evidence.note == "Asked at the counter, ID seen."
    audited = AuditEvent.objects.get()
    assert (audited.kind, audited.actor_label) == (AuditKind.OPT_RELEASED, "carla")
    assert call("find", **to, client=make_client()) is None  # it opens nothing by itself
    assert call("grant", **to, client=make_client(), disclosure=words).is_live


def test_consent_is_voided_expires_and_is_recorded_by_hand(call: Call) -> None:
    ann, carla = make_user("ann"), make_user("carla")
    to = {"recipient": PHONE, "channel": "sms"}
    paper = ConsentContext.paper(staff=carla, note="Signed at the counter.", document_digest=PAPER_DIGEST)
    granted = call("record", event="granted", **to, context=paper, user=ann)
    assert (granted.actor, granted.document_digest, granted.evidence.actor_label) == ("staff", PAPER_DIGEST, "carla")
    assert call("expire", granted).event == "expired"
    assert call("expire", granted) is None
    imported = call(
        "record",
        event="imported",
        recipient=OTHER_PHONE,
        channel="sms",
        context=ConsentContext.imported(origin="crm"),
        user=ann,
        disclosure=call("get_disclosure", "sms"),
    )
    assert (imported.actor, imported.origin, imported.is_live) == ("system", "crm", True)
    by_site = call("invalidate", recipient=OTHER_PHONE, channel="sms", reason="The form was broken.")
    assert (by_site.event, by_site.actor, by_site.evidence.note) == ("invalidated", "system", "The form was broken.")
    by_staff = call("invalidate", **to, reason="A new holder.", staff=carla)
    assert (by_staff.actor, by_staff.evidence.actor_label) == ("staff", "carla")
    assert call("invalidate", **to, reason="A new holder.") is None


def test_the_list_says_what_is_live_and_speaks_json(call: Call) -> None:
    ann = make_user()
    for recipient, channel in ((PHONE, "sms"), (PHONE, "call"), (EMAIL, "email")):
        to = {"recipient": recipient, "channel": channel, "client": make_client(), "user": ann}
        call("grant", **to, disclosure=call("get_disclosure", channel))
    call("withdraw", recipient=PHONE, channel="call", client=make_client(), user=ann)
    states = {state.channel.value: state for state in call("list_consents", ann)}
    assert {name: state.is_live for name, state in states.items()} == {"sms": True, "call": False, "email": True}
    assert states["sms"].ended_at is None and states["call"].ended_at == states["call"].event.occurred_at
    assert states["email"].disclosure == consent.get_disclosure("email")
    found = json.loads(json.dumps(states["call"].as_dict()))
    assert (found["channel"], found["is_live"]) == ("call", False)
    assert found["ended_at"] >= found["granted_at"] > "2026"
    assert found["disclosure"]["digest"] == consent.get_disclosure("call").digest
    assert PHONE not in json.dumps(found)
    with pytest.raises(TypeError, match="is_live"):
        bool(states["sms"])


def test_a_visitor_has_a_list_too(call: Call) -> None:
    client = make_client()
    consent.grant(recipient=PHONE, channel="sms", client=client, disclosure=consent.get_disclosure("sms"))
    assert [state.recipient.value for state in call("list_consents", None, client=client)] == [PHONE]
    assert call("list_consents", AnonymousUser(), client=make_client("other")) == []
    with pytest.raises(ValueError, match="session"):
        call("list_consents", None)


def test_the_words_follow_the_language_of_the_caller(call: Call) -> None:
    with translation.override("de"):
        words = call("get_disclosure", Channel.SMS)
    assert (words.language, words.channel) == ("de", Channel.SMS)
    assert call("get_disclosure", "auto") == call("get_disclosure", "sms") != words
    once = call("get_disclosure", "sms", one_time=True)
    assert once.checkbox_label != call("get_disclosure", "sms").checkbox_label
    shown = json.loads(json.dumps(words.as_dict()))
    assert shown["digest"] == words.digest and "\n".join(shown["lines"]) == shown["text"] == words.text


# --------------------------------------------------------------------------------------------------- what is refused


def test_a_refusal_brings_the_words_to_show(call: Call) -> None:
    to = {"recipient": PHONE, "channel": "sms", "client": make_client()}
    words = consent.get_disclosure("sms")
    with pytest.raises(ConsentRequired) as missing:
        call("require", **to)
    assert (missing.value.code, missing.value.disclosure) == ("consent_required", words)
    for digest in ("0" * 64, "", "\ud800", "é", "x" * 10_000):
        with pytest.raises(ConsentRequired) as changed:
            call("grant", **to, disclosure=digest)
        assert (changed.value.code, changed.value.disclosure) == ("disclosure_changed", words)
    assert events() == []
    assert call("grant", **to, disclosure=changed.value.disclosure.digest).is_live
    call("opt_out", recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired) as opted_out:
        call("require", **to)
    assert (opted_out.value.code, opted_out.value.disclosure) == ("consent_opted_out", None)  # no tick helps


def test_a_refused_send_brings_the_words_for_what_it_asks() -> None:
    once = NewConsent("0" * 64, once=True)
    with pytest.raises(ConsentRequired) as refused:
        Gate.of(PHONE, "sms", client=make_client(), user=None, new=once).foresee()
    assert refused.value.disclosure == consent.get_disclosure("sms", one_time=True)


@pytest.mark.parametrize("fallback", ["whatsapp", "auto"])
def test_a_fallback_that_was_stopped_is_asked_about_by_require(call: Call, fallback: str) -> None:
    to = {"recipient": PHONE, "client": make_client()}
    call("grant", **to, channel=fallback, disclosure=call("get_disclosure", fallback))
    call("opt_out", recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired) as refused:
        call("require", **to, channel=fallback)
    assert refused.value.disclosure is None and not refused.value.can_agree


USERS = [None, AnonymousUser(), SimpleLazyObject(AnonymousUser)]


@pytest.mark.parametrize("user", USERS, ids=["None", "AnonymousUser", "lazy"])
def test_a_user_who_is_not_signed_in_is_a_visitor(user: Any) -> None:
    to = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": user}
    event = consent.grant(**to, disclosure=consent.get_disclosure("sms"))
    assert event.person_kind == "session"
    assert consent.find(recipient=PHONE, channel="sms", client=make_client()) == event


def test_a_lazy_user_is_that_user() -> None:
    ann = make_user()
    to = {"recipient": PHONE, "channel": "sms", "client": make_client()}
    event = consent.grant(**to, user=SimpleLazyObject(lambda: ann), disclosure=consent.get_disclosure("sms"))
    assert event.person_kind == "user" and consent.find(**to, user=ann) == event


def test_the_holder_of_a_factor_is_told_that_a_release_is_up_to_her() -> None:
    ann = make_user()
    make_factor(ann)
    consent.opt_out(recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired) as refused:
        consent.require(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert refused.value.may_release and refused.value.disclosure is None


class Lookalike:
    pk = 1


def good(name: str) -> dict[str, Any]:
    """Arguments that the function takes."""
    to = {"recipient": PHONE, "channel": "sms"}
    asking = {**to, "client": make_client(), "user": None}
    reason = {**to, "reason": "A new holder.", "staff": User(pk=7, username="carla")}
    return {
        "get_disclosure": {"channel": "sms"},
        "grant": {**asking, "disclosure": consent.get_disclosure("sms"), "context": None, "region": None},
        "find": {**asking, "region": None},
        "require": {**asking, "region": None},
        "withdraw": {**asking, "context": None},
        "opt_out": {**to, "client": make_client(), "context": None},
        "release_opt_out": reason,
        "invalidate": reason,
        "expire": {"event": ConsentEvent(pk=0)},
        "record": {
            **to,
            "event": "imported",
            "context": ConsentContext.imported(origin="crm"),
            "user": None,
            "disclosure": None,
        },
        "list_consents": {"user": None, "client": make_client()},
    }[name]


HOSTILE: dict[str, list[tuple[Any, type[Exception]]]] = {
    "recipient": [
        *((value, InvalidRecipient) for value in ("", "12", "not a number", "a@b@c", "x" * 10_000, "+1\0501", EMAIL)),
        *((value, TypeError) for value in (None, 15017122661, b"+15017122661", [PHONE], Lookalike())),
    ],
    "channel": [
        *((value, ValueError) for value in ("smss", "", "totp", Channel.PASSKEY, "sms\0")),
        *((value, TypeError) for value in (None, 1, ["sms"], b"sms")),
    ],
    "client": [*((value, TypeError) for value in ("session", 1, {"session": "x"}, Lookalike()))],
    "user": [
        *((value, TypeError) for value in ("ann", 1, {}, Lookalike(), User.objects)),
        (User(username="new"), ValueError),
    ],
    "disclosure": [*((value, TypeError) for value in (1, b"0" * 64, {"digest": "0" * 64}, Lookalike()))],
    "context": [*((value, TypeError) for value in ("checkbox", 1, {"medium": "web"}, Lookalike()))],
    "region": [*((value, TypeError) for value in (1, ["AT"], Lookalike()))],
    "staff": [*((value, TypeError) for value in ("carla", 7, Lookalike(), AnonymousUser(), User(username="new")))],
    "reason": [("", ValueError), ("  \n", ValueError), (None, TypeError), (1, TypeError)],
    "event": [(None, TypeError), (1, TypeError), ({}, TypeError)],
}
MORE = {
    "grant": [("disclosure", None, TypeError), ("client", None, TypeError)],
    "find": [("client", None, TypeError)],
    "require": [("client", None, TypeError)],
    "withdraw": [("client", None, TypeError)],
    "release_opt_out": [("staff", None, TypeError)],
    "record": [
        *(("event", value, ValueError) for value in ("renewed", "opted_out", "", "GRANTED")),
        ("context", None, TypeError),
        ("context", ConsentContext(), ValueError),
        ("disclosure", "0" * 64, TypeError),
    ],
    "expire": [("event", "granted", TypeError)],
    "get_disclosure": [],
    "list_consents": [],
    "invalidate": [],
    "opt_out": [],
}


def hostile() -> list[Any]:
    cases = []
    for name in FUNCTIONS:
        taken = [one for one in inspect.signature(getattr(consent, name)).parameters if one in HOSTILE]
        rows = [(one, value, error) for one in taken for value, error in HOSTILE[one]] + MORE[name]
        cases += [
            pytest.param(name, one, value, error, id=f"{name}-{one}-{number}")
            for number, (one, value, error) in enumerate(rows)
        ]
    return cases


@pytest.mark.parametrize(("name", "parameter", "value", "error"), hostile())
def test_a_bad_argument_is_named_and_writes_nothing(
    name: str, parameter: str, value: Any, error: type[Exception]
) -> None:
    given = {**good(name), parameter: value}
    first = next(iter(inspect.signature(getattr(consent, name)).parameters))
    positional = [given.pop(first)] if name in ("get_disclosure", "expire", "list_consents") else []
    with pytest.raises(error) as raised:
        getattr(consent, name)(*positional, **given)
    assert type(raised.value) is error
    if error is not InvalidRecipient:
        assert str(raised.value).startswith(parameter)
    assert not ConsentEvent.objects.exists() and not AuditEvent.objects.exists()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_in_the_table(name: str) -> None:
    parameters = {*inspect.signature(getattr(consent, name)).parameters}
    assert parameters - {"one_time"} <= {*HOSTILE} and parameters - {"one_time"} == {*good(name)}


def test_an_unknown_channel_is_answered_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'sms', 'call', 'whatsapp', 'email', 'sna', 'auto', not 'smss'"):
        consent.get_disclosure("smss")  # type: ignore[arg-type]


def test_a_disclosure_of_another_channel_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"^disclosure is about 'email', not 'sms'"):
        consent.grant(recipient=PHONE, channel="sms", client=make_client(), disclosure=consent.get_disclosure("email"))


def test_an_address_of_the_other_kind_is_the_users_mistake() -> None:
    with pytest.raises(InvalidRecipient) as refused:
        consent.find(recipient=EMAIL, channel="call", client=make_client())
    assert refused.value.code == "wrong_kind"


def test_a_national_number_needs_its_region() -> None:
    to: dict[str, Any] = {"recipient": "0660 1234567", "channel": "sms", "client": make_client()}
    with pytest.raises(InvalidRecipient):
        consent.find(**to)
    event = consent.grant(**to, region="AT", disclosure=consent.get_disclosure("sms"))
    assert event.country == "AT" and consent.find(**to, region="AT") == event


def test_the_live_consent_costs_one_query(django_assert_num_queries: Any) -> None:
    ann = make_user()
    to: dict[str, Any] = {"recipient": PHONE, "channel": "sms", "client": make_client(), "user": ann}
    event = consent.grant(**to, disclosure=consent.get_disclosure("sms"))
    with django_assert_num_queries(1):
        assert consent.find(**to) == event


def test_erased_evidence_ends_what_could_expire() -> None:
    event = consent.grant(
        recipient=PHONE, channel="sms", client=make_client(), disclosure=consent.get_disclosure("sms")
    )
    ConsentEvidence.objects.all().delete()
    assert consent.expire(event) is None


# ------------------------------------------------------------------------------------------------------- the context


def test_the_four_constructors() -> None:
    carla = User(pk=7, username="carla")
    box = ConsentContext.checkbox(button_label="Go")
    assert box == ConsentContext(
        medium=ConsentMedium.WEB, control="checkbox", checked_on_submit=True, button_label="Go"
    )
    assert ConsentContext.api(origin="app 3.1") == ConsentContext(medium=ConsentMedium.API, origin="app 3.1")
    paper = ConsentContext.paper(staff=carla, note="Signed.", document_digest=PAPER_DIGEST)
    assert (paper.medium, paper.actor, paper.actor_ref, paper.actor_label) == ("admin", "staff", "7", "carla")
    assert (paper.note, paper.document_digest) == ("Signed.", PAPER_DIGEST)
    imported = ConsentContext.imported(origin="crm-2026")
    assert (imported.medium, imported.actor, imported.origin) == ("import", "system", "crm-2026")


def test_words_become_choices_and_lazy_texts_become_texts() -> None:
    context = ConsentContext(medium="web", actor="staff", button_label=translation.gettext_lazy("Stop"))  # type: ignore[arg-type]
    assert (context.medium, context.actor) == (ConsentMedium.WEB, Actor.STAFF)
    assert type(context.button_label) is str


BAD_FIELDS: list[tuple[str, Any, type[Exception]]] = [
    ("medium", "fax", ValueError),
    ("medium", None, ValueError),
    ("actor", "somebody", ValueError),
    ("actor", 1, ValueError),
    *((name, None, TypeError) for name in ("control", "button_label", "actor_ref", "actor_label", "origin", "note")),
    ("document_digest", 1, TypeError),
    ("document_digest", "abc", ValueError),
    ("document_digest", "G" * 64, ValueError),
    ("checked_by_default", "yes", TypeError),
    ("checked_on_submit", 1, TypeError),
    ("received_at", "2026-11-30", TypeError),
    ("received_at", datetime(2026, 11, 30), ValueError),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD_FIELDS)
def test_a_bad_field_is_named(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{name} "):
        ConsentContext(**{name: value})


@pytest.mark.parametrize("values", [{"note": ""}, {"note": "  "}, {"document_digest": ""}])
def test_consent_on_paper_needs_a_reason_and_the_paper(values: dict[str, str]) -> None:
    given = {"note": "Signed.", "document_digest": PAPER_DIGEST, **values}
    with pytest.raises(ValueError, match=f"^{next(iter(values))} "):
        ConsentContext.paper(staff=User(pk=7, username="carla"), **given)


def test_an_import_needs_a_name() -> None:
    with pytest.raises(ValueError, match=r"^origin "):
        ConsentContext.imported(origin="")


def test_a_context_shows_nobody_in_a_log() -> None:
    shown = repr(ConsentContext(note="please stop, says Mallory", actor_label="mallory", received_at=timezone.now()))
    assert "allory" not in shown
