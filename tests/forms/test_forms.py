"""Forms of own pages: what is sent, what is recorded, and where every error stands."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.cache import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import QueryDict
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from django_twilio_verify import consent, exceptions, factors, forms, testing, verifications
from django_twilio_verify.client import client_from
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import (
    BackendRejected,
    BackendUnavailable,
    ConsentRequired,
    InvalidRecipient,
    RejectCode,
    TwilioVerifyError,
    VerificationNotFound,
)
from django_twilio_verify.forms import CodeForm, ConsentForm, EmailForm, PhoneForm, RecoveryCodeForm
from django_twilio_verify.forms.recipients import show_error
from django_twilio_verify.models import ConsentEvent, Factor, Verification, VerificationAttempt
from django_twilio_verify.testing import last_code, outbox
from django_twilio_verify.verifications import Payment
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, make_user, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]


def make_request(user: Any = None) -> Any:
    """A request of one browser: the same session each time."""
    request = RequestFactory().post("/own/")
    request.session, request.user = SessionStore(), AnonymousUser()  # type: ignore[assignment]
    if user is not None:
        request.user = user
        request.session[SESSION_KEY] = str(user.pk)
    return request


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Any:
    """Call a method of a form, or its twin, with the same."""

    def called(form: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(form, name)(*args, **kwargs)
        return async_to_sync(getattr(form, f"a{name}"))(*args, **kwargs)

    return called


def phone(number: str = PHONE, channel: Any = "sms", **values: str) -> PhoneForm:
    digest = PhoneForm(channel=channel).shown.digest
    return PhoneForm({"number": number, "disclosure": digest, "consent": "on", **values}, channel=channel)


def inbox(address: str = EMAIL) -> EmailForm:
    digest = EmailForm(channel="email").shown.digest
    return EmailForm({"email": address, "disclosure": digest, "consent": "on"}, channel="email")


def box(channel: Any = "sms", recipient: Any = None) -> ConsentForm:
    digest = ConsentForm(channel=channel).shown.digest
    return ConsentForm({"disclosure": digest, "consent": "on"}, channel=channel, recipient=recipient)


# --------------------------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize(("make", "field", "to"), [(phone, "number", PHONE), (inbox, "email", EMAIL)])
def test_a_send_records_the_consent_with_the_label_of_the_button(call: Any, make: Any, field: str, to: str) -> None:
    form, request = make(), make_request()
    assert form.is_valid()
    started = call(form, "send", request, button_label="Text me a code")
    assert started.recipient.value == to and form.failure is None and not form.errors
    assert [one.to for one in outbox] == [to]
    event, attempt = ConsentEvent.objects.get(), VerificationAttempt.objects.get()
    assert attempt.consent_event_id == event.pk
    told = (event.button_label, event.control, event.control_default, event.control_final, event.medium)
    assert told == ("Text me a code", "checkbox", False, True, "web")
    assert event.disclosure is not None and event.disclosure.digest == form.shown.digest


def test_the_box_alone_sends_to_a_recipient_that_is_known(call: Any) -> None:
    form, request = box("call", Recipient.phone(PHONE)), make_request()
    assert form.is_valid() and call(form, "send", request).channel == "call"
    assert [(one.to, one.channel) for one in outbox] == [(PHONE, "call")]


def test_a_double_click_sends_once(call: Any) -> None:
    request = make_request()
    first, second = phone(), phone()
    assert first.is_valid() and second.is_valid()
    started = call(first, "send", request)
    again = call(second, "send", request)
    assert again.reused and again.verification == started.verification and len(outbox) == 1
    assert ConsentEvent.objects.count() == 1


def test_to_enroll_there_has_to_be_a_user(call: Any) -> None:
    for nobody in (None, AnonymousUser()):
        form = phone()
        assert form.is_valid()
        with pytest.raises(TypeError, match="user must be a user, not a visitor"):
            call(form, "send", make_request(), user=nobody, purpose="enroll")
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)
    user = make_user()
    form = phone()
    assert form.is_valid()
    started = call(form, "send", make_request(user), user=user, purpose="enroll")
    assert (started.verification.purpose, started.verification.user_id) == ("enroll", user.pk)
    assert not Factor.objects.exists()


@pytest.mark.parametrize("purpose", ["login", "step_up", "payment", "", "root"])
def test_what_starts_from_a_factor_starts_from_no_form(call: Any, purpose: str) -> None:
    form, user = phone(), make_user()
    assert form.is_valid()
    with pytest.raises(ValueError, match="purpose must be 'verify' or 'enroll'"):
        call(form, "send", make_request(user), user=user, purpose=purpose)
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


def test_nobody_agrees_for_somebody_else(call: Any) -> None:
    user = make_user()
    acted, named = make_request(user), make_request(user)
    acted.session["hijack_history"] = ["7"]
    del named.session[SESSION_KEY]  # a token names the user, and no session is theirs
    for request in (acted, named):
        form, other = phone(), box("call")
        assert form.is_valid() and other.is_valid()
        for purpose in ("verify", "enroll"):
            with pytest.raises(PermissionDenied):
                call(form, "send", request, user=user, purpose=purpose)
        with pytest.raises(PermissionDenied):
            call(other, "resend", request, "0" * 32, user=user)
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


# --------------------------------------------------------------------------------------------------- where errors stand

LATER = timezone.now() + timedelta(hours=1)


def errors() -> list[Any]:
    """Every error of ``start``, with every code that it has."""
    rows: list[tuple[TwilioVerifyError, str]] = []
    for code in exceptions.RateLimited.user_messages:
        rows.append((exceptions.RateLimited(code, retry_at=LATER), "recipient"))
    for code in ConsentRequired.user_messages:
        error = ConsentRequired(code)
        rows.append((error, "consent" if error.can_agree else "recipient"))
    rows += [(BackendRejected(code), "recipient") for code in RejectCode]
    for code in InvalidRecipient.user_messages:
        error = InvalidRecipient(code, {"suggestion": "ann@example.com"} if code == "email_typo" else None)
        rows.append((error, "country" if code == "phone_country_missing" else "recipient"))
    rows += [(BackendUnavailable(may_have_been_done=maybe), "recipient") for maybe in (True, False)]
    rows += [(kind(), "recipient") for kind in (exceptions.ChannelTooWeak, exceptions.FactorNotFound)]
    rows.append((VerificationNotFound("verification_closed"), "recipient"))
    return [pytest.param(error, field, id=f"{type(error).__name__}-{error.code}") for error, field in rows]


@pytest.mark.parametrize(("error", "field"), errors())
def test_every_error_stands_beside_a_field_that_is_shown(error: TwilioVerifyError, field: str) -> None:
    for form, recipient in ((phone(), "number"), (inbox(), "email"), (box("sms", PHONE), "consent")):
        assert form.is_valid()
        show_error(form, error)
        wanted = recipient if field == "recipient" or field not in form.fields else field
        assert dict(form.errors) == {wanted: [error.user_message]}
        assert form.failure is error
        page = Template(
            "{% load twilio_verify %}{% for one in form.visible_fields %}{% if one.name != 'consent' %}"
            "{% verify_field one %}{% endif %}{% endfor %}{% consent_box form %}"
        ).render(Context({"form": form}))
        assert f'id="id_{wanted}_error"' in page
        # Where the words have to be read again, the box is empty again.
        assert ("checked" in page) is not (isinstance(error, ConsentRequired) and error.can_agree)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (60200, 422),
        (60203, 429),
        (60205, 422),
        (60410, 422),
        (21610, 422),
        (BackendUnavailable(may_have_been_done=False), 503),
        (BackendRejected("landline"), 422),
        (BackendRejected("misconfigured", channel_off=True), 422),
    ],
    ids=str,
)
def test_what_the_provider_refuses_stands_beside_the_number(call: Any, error: Any, status: int) -> None:
    testing.fail_next(error)
    form = phone()
    assert form.is_valid() and call(form, "send", make_request()) is None
    assert [*form.errors] == ["number"] and form.failure is not None and outbox == []
    assert form.errors["number"] == [form.failure.user_message]
    assert form.failure.status_code in (status, 422)


def test_an_answer_that_is_lost_is_a_send(call: Any) -> None:
    testing.fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    form = phone()
    assert form.is_valid()
    started = call(form, "send", make_request())
    assert started.delivery_unknown and form.failure is None


def test_a_send_that_is_refused_leaves_no_consent(call: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 1}
    first, second = phone(), phone(OTHER_PHONE)
    assert first.is_valid() and second.is_valid()
    assert call(first, "send", make_request())
    before = ConsentEvent.objects.count()
    assert call(second, "send", make_request()) is None
    assert (second.failure.code, [*second.errors]) == ("ip_hour", ["number"])  # type: ignore[union-attr]
    assert (ConsentEvent.objects.count(), len(outbox)) == (before, 1)
    assert second.failure.retry_after > 0  # type: ignore[union-attr, operator]


def test_a_country_that_is_not_served_leaves_no_consent(call: Any, settings: Any) -> None:
    form = phone("+43 660 1234567")
    assert form.is_valid()
    settings.TWILIO_VERIFY_COUNTRIES = ["US"]
    assert call(form, "send", make_request()) is None
    assert form.errors["number"] == ["We cannot send codes to numbers of this country."]
    assert (ConsentEvent.objects.count(), outbox) == (0, [])


def test_a_number_that_has_opted_out_gets_nothing_whatever_is_ticked(call: Any) -> None:
    consent.opt_out(recipient=PHONE, channel="sms")
    events = ConsentEvent.objects.count()
    form = phone()
    assert form.is_valid() and call(form, "send", make_request()) is None
    assert form.errors["number"] == ["We cannot send a code there right now. Try another way."]
    assert (ConsentEvent.objects.count(), outbox) == (events, [])


def test_words_that_change_on_the_way_are_shown_with_an_empty_box(call: Any, settings: Any) -> None:
    form = phone()
    assert form.is_valid()
    seen = form.shown.digest
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "Bazaar"}
    assert call(form, "send", make_request()) is None
    assert [*form.errors] == ["consent"] and form.failure.code == "disclosure_changed"  # type: ignore[union-attr]
    page = Template("{% load twilio_verify %}{% consent_box form %}").render(Context({"form": form}))
    assert "Bazaar" in page and form.shown.digest in page and seen not in page and "checked" not in page


# ------------------------------------------------------------------------------------------------ another channel


def test_another_channel_goes_on_with_the_same_verification(call: Any) -> None:
    request = make_request()
    first = phone()
    assert first.is_valid()
    started = first.send(request)
    assert started is not None
    form = box("call")
    assert form.is_valid()
    with time_machine.travel(timezone.now() + timedelta(seconds=40)):
        again = call(form, "resend", request, str(started.verification.pk), button_label="Call me")
    assert again.verification.pk == started.verification.pk and outbox[-1].channel == "call"
    assert ConsentEvent.objects.latest("id").button_label == "Call me"


def test_another_channel_for_what_is_over_says_so_and_records_nothing(call: Any) -> None:
    request, first, form = make_request(), phone(), box("call")
    assert first.is_valid() and form.is_valid()
    started = first.send(request)
    assert started is not None
    verifications.cancel(started.verification, client=client_from(request))
    assert call(form, "resend", request, started.verification.pk) is None
    assert form.errors["consent"] == ["This code no longer works. Start again to get a new one."]
    assert (ConsentEvent.objects.count(), len(outbox)) == (1, 1)


@pytest.mark.parametrize("reference", ["", "x", "0" * 32, "../1", "\ud800", "9" * 4000])
def test_another_channel_for_what_is_not_there_is_a_404(call: Any, reference: str) -> None:
    form = box("call")
    assert form.is_valid()
    with pytest.raises(VerificationNotFound):
        call(form, "resend", make_request(), reference)
    assert (ConsentEvent.objects.count(), outbox) == (0, [])


# --------------------------------------------------------------------------------------------------------- the code


def started_for(request: Any, user: Any = None) -> Verification:
    form = phone()
    assert form.is_valid()
    started = form.send(request, user=user)
    assert started is not None
    return started.verification


def typed(code: str) -> CodeForm:
    form = CodeForm({"code": code})
    assert form.is_valid(), form.errors
    return form


def test_the_right_code_and_a_double_click_on_it(call: Any) -> None:
    user = make_user()
    request = make_request(user)
    verification = started_for(request, user)
    first, second = typed(last_code()), typed(last_code())
    assert call(first, "check", request, verification.pk, user=user) is True
    assert call(second, "check", request, verification.pk, user=user) is True
    assert [first.checked.approved, second.checked.approved] == [True, False]


def test_an_approval_of_before_is_no_double_click(call: Any) -> None:
    user, request = make_user(), make_request()
    visitors = started_for(request)
    assert typed(last_code()).check(request, visitors.pk)
    # SECURITY: somebody else has signed in to the session since, and types anything.
    form = typed(wrong_code())
    assert call(form, "check", request, visitors.pk, user=user) is False and [*form.errors] == ["code"]
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        late = typed(wrong_code())
        assert call(late, "check", request, visitors.pk) is False and [*late.errors] == ["code"]
    again = typed(last_code())
    assert call(again, "check", request, visitors.pk) is True


@pytest.mark.parametrize("code", ["wrong", "12", "١٢٣", "<script>", "' OR 1=1 --", "0" * 200])
def test_a_code_that_is_wrong_or_none_is_an_error_of_the_field(call: Any, code: str) -> None:
    request = make_request()
    verification = started_for(request)
    form = typed(wrong_code() if code == "wrong" else code)
    assert call(form, "check", request, verification.pk) is False
    assert form.errors["code"] == [form.checked.user_message] and form.checked.user_message
    assert not form.checked.approved


@pytest.mark.parametrize("code", ["", " ", "1" * 201, "12\x0034"])
def test_what_cannot_be_a_code_is_not_even_asked_about(code: str) -> None:
    form = CodeForm({"code": code})
    assert not form.is_valid() and [*form.errors] == ["code"]
    with pytest.raises(ValueError, match="CodeForm is not valid"):
        form.check(make_request(), "0" * 32)


def test_a_provider_that_is_down_is_an_error_of_the_field(call: Any) -> None:
    request = make_request()
    verification = started_for(request)
    testing.fail_next(BackendUnavailable(may_have_been_done=False))
    form = typed(last_code())
    assert call(form, "check", request, verification.pk) is False
    assert isinstance(form.failure, BackendUnavailable) and form.errors["code"] == [form.failure.user_message]
    assert call(typed(last_code()), "check", request, verification.pk) is True


def test_a_code_of_another_browser_or_user_is_a_404(call: Any) -> None:
    user, other = make_user(), make_user("ben")
    request = make_request(user)
    verification = started_for(request, user)
    code = last_code()
    for asked, who in ((make_request(user), user), (request, other)):
        with pytest.raises(VerificationNotFound):
            call(typed(code), "check", asked, verification.pk, user=who)
    for reference in ("", "nothing", "0" * 32, "\ud800"):
        with pytest.raises(VerificationNotFound):
            call(typed(code), "check", request, reference, user=user)
    assert call(typed(code), "check", request, verification.pk, user=user) is True


def test_a_payment_is_what_it_was_or_none(call: Any) -> None:
    request = make_request()
    verification = started_for(request)
    form = typed(last_code())
    with pytest.raises(TypeError, match="payment must be a Payment"):
        call(form, "check", request, verification.pk, payment="10 EUR")
    # Of what is no payment it says nothing.
    assert call(form, "check", request, verification.pk, payment=Payment("10 EUR", "Bazaar")) is True


def test_a_recovery_code_completes_the_login(client: Any, call: Any) -> None:
    user = make_user()
    testing.enroll(user)
    (code, *_) = factors.create_recovery_codes(user)
    testing.sign_in(client, user, verified=False)
    client.get("/verify/recovery/")
    request = client.get("/verify/recovery/").wsgi_request
    wrong = RecoveryCodeForm({"code": "aaaa-bbbb-cccc-dddd"})
    assert wrong.is_valid() and call(wrong, "check", request) is False
    assert wrong.errors["code"] == ["This is not one of your unused recovery codes."]
    right = RecoveryCodeForm({"code": code})
    assert right.is_valid() and call(right, "check", request) is True and right.checked.approved


def test_a_recovery_code_of_nobody(call: Any, client: Any) -> None:
    form = RecoveryCodeForm({"code": "aaaa-bbbb-cccc-dddd"})
    assert form.is_valid()
    with pytest.raises(exceptions.NoPendingLogin):
        call(form, "check", client.get("/public/").wsgi_request)


# ---------------------------------------------------------------------------------------------------- mistakes in code


@pytest.mark.parametrize("kind", [PhoneForm, EmailForm, ConsentForm])
@pytest.mark.parametrize("channel", ["smss", "passkey", "totp", "recovery", "", None, 7, "\ud800"])
def test_a_channel_that_sends_nothing_there_is_named(kind: Any, channel: Any) -> None:
    with pytest.raises(ValueError, match=f"channel of {kind.__name__} must be one of"):
        kind(channel=channel)


def test_a_form_takes_the_channels_of_its_kind() -> None:
    with pytest.raises(ValueError, match="channel of PhoneForm must be one of sms, "):
        PhoneForm(channel="email")
    with pytest.raises(ValueError, match="channel of EmailForm must be one of email, not 'sms'"):
        EmailForm(channel="sms")
    assert [PhoneForm(channel=one).channel for one in ("sms", "call", "whatsapp", "sna", "auto")]
    assert PhoneForm(channel="auto").shown.digest == PhoneForm(channel="sms").shown.digest
    assert EmailForm(channel="email", region="AT").channel == "email"


def test_sending_without_asking_whether_it_is_valid() -> None:
    digest = PhoneForm(channel="sms").shown.digest
    for data in (None, {}, {"number": PHONE}, {"number": PHONE, "disclosure": digest}):
        with pytest.raises(ValueError, match="PhoneForm is not valid: ask is_valid"):
            PhoneForm(data, channel="sms").send(make_request())
    with pytest.raises(ValueError, match="recipient of ConsentForm is missing: without one, call resend"):
        box().send(make_request())
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


def test_a_box_that_a_subclass_makes_optional_is_nobodys_consent() -> None:
    class Careless(PhoneForm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.fields["consent"].required = False

    form = Careless({"number": PHONE, "disclosure": PhoneForm(channel="sms").shown.digest}, channel="sms")
    assert form.is_valid()
    with pytest.raises(ValueError, match="The box of Careless was not ticked"):
        form.send(make_request())
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_no_form_sends_inside_a_transaction() -> None:
    form = phone()
    assert form.is_valid()
    with pytest.raises(RuntimeError), transaction.atomic():
        form.send(make_request())
    assert (outbox, ConsentEvent.objects.count()) == ([], 0)


@pytest.mark.parametrize("value", ["", "form", None, 7])
def test_the_tags_refuse_what_is_no_such_form(value: Any) -> None:
    for tag, needs in (("consent_box", "a form with a consent box"), ("code_field", "a form with a field 'code'")):
        template = Template(f"{{% load twilio_verify %}}{{% {tag} form %}}")
        for given in (value, CodeForm() if tag == "consent_box" else phone()):
            with pytest.raises(TypeError, match=f"{tag} takes {needs}"):
                template.render(Context({"form": given}))


# ------------------------------------------------------------------------------------------------------ hostile input


@pytest.mark.parametrize(
    "posted",
    [
        "number=%2B15017122661&consent=on",
        "number=%2B15017122661&consent=on&disclosure=",
        "number=%2B15017122661&consent=on&disclosure=" + "0" * 64,
        "number=%2B15017122661&consent=on&disclosure=" + "0" * 65,
        "number=%2B15017122661&consent=on&disclosure=%ED%A0%80",
        "number=%2B15017122661&consent=on&disclosure=1&disclosure=2",
        "number=%00&consent=on&disclosure=x",
        "number=" + "9" * 100000 + "&consent=on",
        "number=%3Cscript%3E&country=%3Cscript%3E&consent=on",
        "recipient=%2B15017122662&number=&consent=on",
        "country=XX&number=501",
        "consent=true&consent=on",
        "number[]=1&consent[]=on",
    ],
)
def test_hostile_posts_are_errors_of_fields_and_send_nothing(posted: str) -> None:
    form = PhoneForm(QueryDict(posted), channel="sms")
    assert not form.is_valid() and set(form.errors) <= {"country", "number", "disclosure", "consent"}
    page = Template("{% load twilio_verify %}{% verify_field form.number %}{% consent_box form %}").render(
        Context({"form": form})
    )
    assert "<script" not in page
    assert (outbox, ConsentEvent.objects.count(), Verification.objects.count()) == ([], 0, 0)


@pytest.mark.parametrize("state", ["", "false", "False", "0"])
def test_a_box_that_is_not_ticked_is_no_consent(state: str) -> None:
    form = phone(consent=state)
    # Browsers post "on" or nothing; what says no, means no.
    assert form.is_valid() is (state == "0")


def test_a_label_is_kept_as_far_as_the_ledger_goes(call: Any) -> None:
    form = phone()
    assert form.is_valid()
    with pytest.raises(TypeError, match="button_label must be a str"):
        call(form, "send", make_request(), button_label=None)
    assert call(form, "send", make_request(), button_label="<b>" + "x" * 500)
    assert ConsentEvent.objects.get().button_label == "<b>" + "x" * 77


# ------------------------------------------------------------------------------------------------------------- twins


def test_every_verb_of_a_public_form_has_a_twin_of_the_same_signature() -> None:
    kinds = [getattr(forms, name) for name in forms.__all__]
    verbs = {(kind, name) for kind in kinds for name in ("send", "resend", "check") if hasattr(kind, name)}
    assert {(kind.__name__, name) for kind, name in verbs} == {
        *(("PhoneForm", "send"), ("EmailForm", "send"), ("ConsentForm", "send"), ("ConsentForm", "resend")),
        *(("CodeForm", "check"), ("RecoveryCodeForm", "check")),
    }
    for kind, name in verbs:
        twin = getattr(kind, f"a{name}")
        assert inspect.iscoroutinefunction(twin) and twin.__name__ == f"a{name}" and twin.__doc__
        assert inspect.signature(twin) == inspect.signature(getattr(kind, name))
