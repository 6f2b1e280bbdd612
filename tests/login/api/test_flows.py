"""From the options to the session, by every channel, in views of the site's own."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.signals import user_login_failed
from django.test import Client

from django_twilio_verify import factors, signals
from django_twilio_verify.consent import get_disclosure
from django_twilio_verify.exceptions import ConsentRequired, NoPendingLogin, RateLimited
from django_twilio_verify.models import ConsentEvent, Factor, TrustedBrowser, Verification
from django_twilio_verify.testing import outbox, skip_cooldown
from tests.support.basics import EMAIL, PHONE, last_code, make_factor, make_user, sign_in, wrong_code
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.own_site import OwnSite, user_of
from tests.support.receivers import listening

pytestmark = pytest.mark.django_db

CODES = ["sms", "call", "whatsapp", "email"]
HEARD = [signals.login_completed, signals.step_up_completed, signals.check_failed]


@pytest.fixture
def failed() -> Any:
    told: list[Any] = []

    def hear(**named: Any) -> None:
        told.append(named["credentials"])

    user_login_failed.connect(hear)
    yield told
    user_login_failed.disconnect(hear)


def recipient_of(channel: str) -> str:
    return EMAIL if channel == "email" else PHONE


def options_by_channel(site: OwnSite, browser: Client) -> dict[str, Any]:
    return {option.channel.value: option for option in site.challenge_options(browser)}


@pytest.mark.parametrize("purpose", ["login", "step_up"])
@pytest.mark.parametrize("channel", CODES)
def test_a_code(site: OwnSite, client: Client, failed: list[Any], channel: str, purpose: str) -> None:
    ann = make_user()
    make_factor(ann, recipient_of(channel), channel=channel)
    sign_in(client)
    if purpose == "step_up":
        pass_by_recovery(site, client, ann)
    found = site.challenge_options(client)
    assert found[0].is_default and found[0].channel == channel and not found[0].needs_consent
    with listening(HEARD) as heard:
        started = site.challenge(client, found[0].id)
        assert outbox[-1].channel == channel and not started.reused
        assert site.challenge(client, found[0]).reused, "a double click sends nothing"
        wrong = site.check(client, started.verification.pk, code=wrong_code())
        assert (wrong.approved, wrong.outcome, wrong.checks_left) == (False, "wrong", 4)
        assert len(failed) == 1 and failed[0]["username"] == "ann"
        with pytest.raises(RateLimited) as refused:
            site.resend(client, started.verification)
        assert refused.value.code == "cooldown"
        skip_cooldown(ann)
        resent = site.resend(client, str(started.verification.pk))
        assert resent.verification == started.verification and len(outbox) == 2
        assert user_of(client) == ("" if purpose == "login" else "ann")
        checked = site.check(client, started.verification, code=last_code())
        assert checked.approved and not checked.already_approved
        double = site.check(client, started.verification, code=last_code()) if purpose == "step_up" else None
        assert double is None or (double.already_approved and not double.approved)
    done = "login_completed" if purpose == "login" else "step_up_completed"
    assert heard.names == {done: 1, "check_failed": 1}
    assert heard.of(done)[0]["channel"] == channel and len(failed) == 1
    assert user_of(client) == "ann"
    state = site.get_state(client)
    assert state.status == "verified" and state.verified_channel == channel
    assert Verification.objects.get(pk=started.verification.pk).redeemed_at is not None


def pass_by_recovery(site: OwnSite, browser: Client, user: Any) -> None:
    code = factors.create_recovery_codes(user)[0]
    assert site.check_recovery_code(browser, code).approved


@pytest.mark.parametrize("purpose", ["login", "step_up"])
def test_another_channel_is_agreed_to_first(site: OwnSite, client: Client, purpose: str) -> None:
    ann = make_user()
    make_factor(ann)
    sign_in(client)
    if purpose == "step_up":
        pass_by_recovery(site, client, ann)
    started = site.challenge(client, options_by_channel(site, client)["sms"])
    call = options_by_channel(site, client)["call"]
    assert call.needs_consent and call.disclosure is not None
    skip_cooldown(ann)
    with pytest.raises(ConsentRequired) as refused:
        site.resend(client, started.verification, channel="call")
    assert refused.value.disclosure == call.disclosure
    with pytest.raises(ConsentRequired):
        site.resend(client, started.verification, channel="call", disclosure="0" * 64)
    assert len(outbox) == 1 and not ConsentEvent.objects.filter(channel="call").exists()
    resent = site.resend(client, started.verification, channel="call", disclosure=call.disclosure.digest)
    assert resent.channel == "call" and outbox[-1].channel == "call"
    event = ConsentEvent.objects.get(channel="call")
    assert (event.event, event.control_final) == ("granted", True)
    assert site.check(client, resent.verification, code=last_code()).approved
    assert site.get_state(client).verified_channel == "call"


def test_a_challenge_by_a_channel_that_needs_consent(site: OwnSite, client: Client) -> None:
    make_factor(make_user(), agreed=False)
    sign_in(client)
    option = site.challenge_options(client)[0]
    with pytest.raises(ConsentRequired):
        site.challenge(client, option)
    assert outbox == [] and not ConsentEvent.objects.exists() and not Verification.objects.exists()
    started = site.challenge(client, option, disclosure=get_disclosure("sms").digest)
    assert site.check(client, started.verification, code=last_code()).approved


def prove(site: OwnSite, holder: Holder, channel: str, **more: Any) -> Any:
    """The whole of it by the device."""
    browser = holder.tab
    option = options_by_channel(site, browser)[channel]
    started = site.challenge(browser, option)
    assert started.channel == channel and outbox == []
    if channel == "totp":
        assert holder.app is not None
        return site.check(browser, started.verification, code=holder.app.code(), **more)
    if channel == "passkey":
        assert holder.keys is not None
        return site.check(browser, started.verification, credential=holder.keys.get(started.browser_options), **more)
    waiting = site.poll(browser, started.verification)
    assert waiting.is_waiting and not waiting.approved
    if channel == "push":
        assert started.needs_number and waiting.reason == "number"
        typed = site.check(browser, started.verification, number=holder.number())
        assert typed.is_waiting
    holder.say("yes")
    Verification.objects.filter(pk=started.verification.pk).update(poll_after=None)
    return site.poll(browser, started.verification, **more)


@pytest.mark.parametrize("purpose", ["login", "step_up"])
@pytest.mark.parametrize("channel", ["totp", "push", "silent", "passkey"])
def test_a_device(site: OwnSite, client: Client, settings: Any, failed: list[Any], channel: str, purpose: str) -> None:
    holder = Holder(make_user(), World("sync", None), client)
    factor = holder.hold(channel)
    sign_in(client)
    if purpose == "step_up":
        pass_by_recovery(site, client, holder.user)
    with listening(HEARD) as heard:
        checked = prove(site, holder, channel)
    assert checked.approved, checked
    assert heard.names == {"login_completed" if purpose == "login" else "step_up_completed": 1} and failed == []
    if purpose == "step_up":
        assert heard.of("step_up_completed")[0]["factor"] == factor
    assert user_of(client) == "ann" and site.get_state(client).verified_channel == channel


@pytest.mark.parametrize("channel", ["totp", "push", "passkey"])
def test_a_device_that_says_something_else(site: OwnSite, client: Client, failed: list[Any], channel: str) -> None:
    holder = Holder(make_user(), World("sync", None), client)
    holder.hold(channel)
    sign_in(client)
    started = site.challenge(client, options_by_channel(site, client)[channel])
    with listening(HEARD) as heard:
        if channel == "totp":
            checked = site.check(client, started.verification, code=wrong_code(holder.app.code()))
        elif channel == "push":
            checked = site.check(client, started.verification, number=wrong_code(holder.number()))
        else:
            given = holder.keys.get(started.browser_options)
            given["response"] = {**given["response"], "signature": "AAAA"}
            checked = site.check(client, started.verification, credential=given)
    assert not checked.approved and checked.outcome == "wrong"
    assert heard.names == {"check_failed": 1} and len(failed) == 1
    assert user_of(client) == ""


def test_a_push_that_is_denied(site: OwnSite, client: Client, failed: list[Any]) -> None:
    holder = Holder(make_user(), World("sync", None), client)
    holder.hold("silent")
    sign_in(client)
    started = site.challenge(client, options_by_channel(site, client)["silent"])
    holder.say("no")
    with listening([*HEARD, signals.login_denied]) as heard:
        first, second = (site.poll(client, started.verification) for _ in range(2))
    assert first.outcome == second.outcome == "denied"
    assert heard.names["login_denied"] == 1 and user_of(client) == ""
    assert len(failed) == 1, "one no is one failure, however often a page asks"


@pytest.mark.parametrize("purpose", ["login", "step_up"])
def test_a_recovery_code(site: OwnSite, client: Client, failed: list[Any], purpose: str) -> None:
    ann = make_user()
    make_factor(ann)
    sign_in(client)
    if purpose == "step_up":
        pass_by_recovery(site, client, ann)
    codes = factors.create_recovery_codes(ann)
    with listening(HEARD) as heard:
        wrong = site.check_recovery_code(client, "aaaa-aaaa-aaaa-aaaa")
        assert not wrong.approved and len(failed) == 1
        assert user_of(client) == ("" if purpose == "login" else "ann")
        right = site.check_recovery_code(client, codes[0].upper().replace("-", " "))
    assert right.approved and right.remaining == 9
    assert heard.names == {"check_failed": 1, "login_completed" if purpose == "login" else "step_up_completed": 1}
    again = site.check_recovery_code(client, codes[0])
    assert not again.approved and len(failed) == 2
    assert site.get_state(client).verified_channel == "recovery" and user_of(client) == "ann"


@pytest.mark.parametrize("how", ["check", "poll"])
@pytest.mark.parametrize("wished", [True, False])
def test_trust_in_the_browser(site: OwnSite, client: Client, settings: Any, how: str, wished: bool) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    holder = Holder(make_user(), World("sync", None), client)
    holder.hold("silent" if how == "poll" else "totp")
    sign_in(client)
    with listening(HEARD) as heard:
        assert prove(site, holder, "silent" if how == "poll" else "totp", trust_browser=wished).approved
    assert ("twilio_verify_browser" in site.response.cookies) == wished
    assert (heard.of("login_completed")[0]["trusted_browser"] is not None) == wished
    assert TrustedBrowser.objects.count() == wished
    client.cookies.pop("sessionid")
    sign_in(client)
    state = site.get_state(client)
    assert (state.status, state.is_trusted_browser) == (
        ("signed_in", True) if wished else ("second_factor_required", False)
    )


@pytest.mark.parametrize("last", ["no", "says nothing"])
def test_a_wish_of_an_answer_that_was_wrong(site: OwnSite, client: Client, settings: Any, last: str) -> None:
    """The box is part of each answer: the last one counts."""
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    make_factor(make_user())
    sign_in(client)
    started = site.challenge(client, site.challenge_options(client)[0])
    site.check(client, started.verification, code=wrong_code(), trust_browser=True)
    more = {"trust_browser": False} if last == "no" else {}
    assert site.check(client, started.verification, code=last_code(), **more).approved
    assert TrustedBrowser.objects.count() == 0 and "twilio_verify_browser" not in site.response.cookies


@pytest.mark.parametrize(("posted", "wished"), [("on", True), ("yes", False)])
def test_what_the_site_posts_is_not_what_it_says(
    site: OwnSite, client: Client, settings: Any, posted: str, wished: bool
) -> None:
    """The name and the value of the site's own box are the site's: ``trust_browser`` alone counts."""
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    make_factor(make_user())
    sign_in(client)
    started = site.challenge(client, site.challenge_options(client)[0])
    site.posted = {"trust": posted}
    assert site.check(client, started.verification, code=last_code(), trust_browser=wished).approved
    assert TrustedBrowser.objects.count() == wished


def test_step_up_trusts_no_browser(site: OwnSite, client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    ann = make_user()
    make_factor(ann)
    sign_in(client)
    pass_by_recovery(site, client, ann)
    started = site.challenge(client, site.challenge_options(client)[0])
    assert site.check(client, started.verification, code=last_code(), trust_browser=True).approved
    assert not TrustedBrowser.objects.exists()


def test_cancel(site: OwnSite, client: Client) -> None:
    make_factor(make_user())
    sign_in(client)
    started = site.challenge(client, site.challenge_options(client)[0])
    site.cancel(client)
    assert site.get_state(client).status == "visitor"
    with pytest.raises(NoPendingLogin):
        site.check(client, started.verification, code=last_code())
    assert Factor.objects.exists() and user_of(client) == ""
