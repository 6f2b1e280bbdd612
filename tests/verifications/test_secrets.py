"""What goes wrong shows neither codes, tokens, links nor whole numbers: not in tracebacks, reports or logs."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.models import Verification
from django_twilio_verify.verifications import handover, lifecycle
from tests.support.basics import PHONE, agree, make_client
from tests.support.tracebacks import everything_shown

pytestmark = pytest.mark.django_db

CODE = "qx7Q91Zb"
TOKEN = "t0ken-of-the-link"
TYPED = "918273"


def start(verbs, channel="sms", **values):
    agree(PHONE, channel)
    return verbs.start(recipient=PHONE, channel=channel, client=make_client(), **values)


def refused_by_twilio(verbs, server, settings):
    server.fail({"status": 400, "code": 60200})
    start(verbs, options={"custom_code": CODE})


def unreachable(verbs, server, settings):
    server.fail("unreachable")
    start(verbs, options={"custom_code": CODE})


def in_the_wrong_type(verbs, server, settings):
    start(verbs, options={"custom_code": [CODE]})


def with_an_unknown_name(verbs, server, settings):
    start(verbs, options={"custom_code": CODE, "colour": "red"})


def not_fitting(verbs, server, settings):
    start(verbs, channel="sna", options={"custom_code": CODE})


def of_the_setting(verbs, server, settings):
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"custom_code": lambda request: CODE, "tags": 5}
    start(verbs)


def other_than_the_first(verbs, server, settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 0}
    start(verbs, options={"custom_code": CODE})


def a_link_not_answered(verbs, server, settings):
    started = start(verbs, channel="sna", options={"enable_sna_client_token": True})
    server.fail("500")
    verbs.check_link(started.verification, client=make_client(), sna_client_token=TOKEN)


def a_code_not_answered(verbs, server, settings):
    started = start(verbs)
    server.fail("500")
    verbs.check(started.verification, code=TYPED, client=make_client())


def a_token_of_nobody(verbs, server, settings):
    verbs.finish(TOKEN, sna_client_token=TOKEN)


CASES = [
    refused_by_twilio,
    unreachable,
    in_the_wrong_type,
    with_an_unknown_name,
    not_fitting,
    of_the_setting,
    other_than_the_first,
    a_link_not_answered,
    a_code_not_answered,
    a_token_of_nobody,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_nothing_secret_is_shown(verbs, server, settings, caplog, case):
    caplog.set_level(0)
    with pytest.raises((TwilioVerifyError, ImproperlyConfigured, IncompatibleOptions)) as caught:
        case(verbs, server, settings)
    shown = everything_shown(caught.value) + caplog.text
    links = [link for link in Verification.objects.values_list("link", flat=True) if link]
    for secret in (CODE, TOKEN, TYPED, PHONE, PHONE[2:], *links):
        assert secret not in shown


def test_a_handover_shows_nothing_in_what_it_raises(server):
    started = start(lifecycle, channel="sna")
    offer = handover.offer(started.verification, client=make_client())
    wrong = next(one for one in offer.choices if one != offer.match)
    handover.accept(offer.token, wrong)
    with pytest.raises(handover.VerificationNotFound) as caught:
        handover.accept(offer.token, offer.match)
    shown = everything_shown(caught.value)
    assert offer.token not in shown and started.link not in shown
