"""Who may bring events, and what becomes of requests that are none."""

from __future__ import annotations

import base64
import json
import logging
from io import BytesIO

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.db import connection
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from twilio.request_validator import RequestValidator

from django_twilio_verify import conf
from django_twilio_verify.models import ProviderEvent
from django_twilio_verify.views import webhooks
from tests.support.attempts import fate, make_attempt
from tests.support.basics import PHONE, make_factor, sign_in
from tests.support.cloud_events import CREDENTIALS, PATH, TOKEN, backend, basic, deliver, of_message, signed

pytestmark = pytest.mark.django_db
URL = "http://testserver" + PATH


@pytest.fixture
def ours():
    return make_attempt()


@pytest.fixture
def by_signature(settings):
    """No credentials of a sink, and the Auth Token of the account."""
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend(auth_token=TOKEN)}
    settings.TWILIO_VERIFY_WEBHOOK = None


def sign(body: bytes, *, url: str = URL, token: str = TOKEN, signature: str | None = None, query: str | None = None):
    """How the provider would bring ``body``, called at ``url``."""
    asked, made = signed(body, url=url, token=token)
    headers = {"X-Twilio-Signature": made if signature is None else signature}
    return {"path": f"{PATH}?{asked if query is None else query}", "headers": headers}


def words(response) -> tuple[int, str]:
    return response.status_code, response.content.decode()


def is_untouched(attempt) -> bool:
    return fate(attempt)["delivery"] == "" and not ProviderEvent.objects.exists()


def test_a_signature_over_the_raw_body_opens(ours, by_signature):
    # Not as json.dumps would write it again: the very bytes count.
    body = json.dumps([of_message(ours, "delivered")], indent=3).encode() + b"\n \n"
    assert deliver(body, **sign(body)).status_code == 200
    assert fate(ours)["delivery"] == "delivered"


def test_the_sdks_own_validator_agrees_with_how_these_tests_sign():
    body = b'[{"id": "\xc3\xbc"}]'
    query, signature = signed(body, url=URL)
    assert RequestValidator(TOKEN).validate(f"{URL}?{query}", body.decode(), signature)


@pytest.mark.parametrize(
    "change",
    [
        {"token": "8" * 32},
        {"signature": ""},
        {"signature": "x"},
        {"signature": "ü"},
        {"signature": "A" * 100_000},
        {"url": "https://testserver" + PATH},
        {"url": "http://elsewhere.test" + PATH},
        {"query": ""},
        {"query": "bodySHA256="},
        {"query": "bodySHA256=%ff"},
        {"query": "bodySHA256=" + "0" * 64},
        {"query": "bodySHA256=" + "0" * 64 + "&bodySHA256=" + "1" * 64},
    ],
)
def test_a_forged_signature_opens_nothing(ours, by_signature, change, caplog):
    body = json.dumps([of_message(ours, "delivered")]).encode()
    assert words(deliver(body, **sign(body, **change))) == (403, "forbidden")
    assert is_untouched(ours)
    assert "403" in caplog.text
    assert PHONE not in caplog.text


def test_a_signature_of_one_body_opens_no_other(ours, by_signature):
    signed_one = json.dumps([of_message(ours, "sent")]).encode()
    other = json.dumps([of_message(ours, "delivered")]).encode()
    assert deliver(other, **sign(signed_one)).status_code == 403
    assert deliver(other, **sign(b"")).status_code == 403
    assert is_untouched(ours)


def test_the_body_of_a_form_is_not_mistaken_for_a_signed_one(ours, by_signature):
    """A trap of the SDK: with an empty mapping for its parameters, its validator never looks at the body."""
    body = json.dumps([of_message(ours, "delivered")]).encode()
    query, signature = signed(b"other", url=URL)
    headers = {"X-Twilio-Signature": signature}
    for content_type in ("application/x-www-form-urlencoded", "application/json", ""):
        response = deliver(body, path=f"{PATH}?{query}", headers=headers, content_type=content_type)
        assert response.status_code == 403
    assert is_untouched(ours)


def test_behind_a_proxy_the_address_is_the_public_one(ours, by_signature, settings):
    settings.ALLOWED_HOSTS = ["shop.example"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    body = json.dumps([of_message(ours, "delivered")]).encode()
    given = sign(body, url="https://shop.example" + PATH)
    given["headers"] |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
    assert deliver(body, **given).status_code == 200


def test_without_djangos_settings_no_header_of_a_proxy_is_believed(ours, by_signature):
    body = json.dumps([of_message(ours, "delivered")]).encode()
    given = sign(body, url="https://shop.example" + PATH)
    given["headers"] |= {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
    assert deliver(body, **given).status_code == 403
    assert is_untouched(ours)


def test_a_site_may_name_the_public_address_itself(ours, by_signature, settings):
    public = "https://shop.example/hooks/twilio"  # rewritten on the way, path and all
    settings.TWILIO_VERIFY_WEBHOOK = {"url": public}
    body = json.dumps([of_message(ours, "delivered")]).encode()
    assert deliver(body, **sign(body, url=public)).status_code == 200


def test_a_host_that_is_not_the_sites_is_refused(by_signature):
    assert deliver(b"[]", **sign(b"[]", url="http://evil.test" + PATH), HTTP_HOST="evil.test").status_code == 400


def test_the_signature_of_one_account_settles_nothing_of_another(ours, settings):
    other = "VA" + "c" * 32
    settings.TWILIO_VERIFY_WEBHOOK = None
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": backend(auth_token=TOKEN),
        "other": backend(account_sid="AC" + "d" * 32, service_sid=other, auth_token="9" * 32),
    }
    body = json.dumps([of_message(ours, "delivered")]).encode()
    assert deliver(body, **sign(body, token="9" * 32)).status_code == 200
    assert fate(ours)["delivery"] == ""
    assert ProviderEvent.objects.get().applied is False


def test_the_sinks_credentials_open(ours):
    assert deliver([of_message(ours, "delivered")]).status_code == 200
    assert (
        deliver([of_message(ours, "read")], headers={"Authorization": basic().replace("Basic", "bAsIc")}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic x",
        "Basic ====",
        "Basic \xff\xfe",
        "Basic " + base64.b64encode(b"\xff\xfe:\x00").decode(),
        "Bearer " + basic().partition(" ")[2],
        "Digest " + basic().partition(" ")[2],
        basic(username=""),
        basic(password=""),
        basic(username="Sink"),
        basic(password=CREDENTIALS["password"] + "x"),
        basic(password=CREDENTIALS["password"][:-1]),
        basic() + "x",
        "Basic " + "A" * 100_000,
    ],
)
def test_other_credentials_open_nothing(ours, header):
    response = deliver([of_message(ours, "delivered")], headers={"Authorization": header})
    assert words(response) == (403, "forbidden")
    assert is_untouched(ours)


@pytest.mark.parametrize(
    "setting",
    [None, {}, {"username": "", "password": ""}, {"username": "sink"}, {"password": "x"}, {"url": "https://a.b/"}],
)
def test_a_site_that_has_set_nothing_takes_nothing(ours, settings, setting):
    settings.TWILIO_VERIFY_WEBHOOK = setting
    for header in (basic(), basic("", ""), basic("sink", ""), basic("", "x"), basic("None", "None")):
        assert deliver([of_message(ours, "delivered")], headers={"Authorization": header}).status_code == 403
    assert is_untouched(ours)


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options", "trace"])
def test_nothing_but_post_is_taken(method):
    response = getattr(Client(), method)(PATH, headers={"Authorization": basic()})
    assert (response.status_code, response["Allow"]) == (405, "POST")


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"x",
        b"[",
        b"{}]",
        b"\xff\xfe",
        b'["\xff"]',
        b"\xef\xbb\xbf[]",
        "[]".encode("utf-16"),
        DEEP,
        DEEP + b"]" * 100_000,
        b'{"a":' * 50_000,
        b"[NaN]",
        b"[Infinity]",
        b"[" + b"9" * 5000 + b"]",
        b"\x00",
        b"a=1&b=2",
    ],
    ids=lambda body: ascii(body[:12]),
)
def test_what_is_not_json_is_told_so(body):
    assert words(deliver(body)) == (400, "json")


@pytest.mark.parametrize("body", [b"5", b'"x"', b"null", b"true", b"{}", b"[5]", b"[[]]", b"[{}]", b'[{"id":"1"}]'])
def test_json_that_holds_no_event_is_told_so(body):
    assert words(deliver(body)) == (400, "malformed")


def test_an_empty_batch_is_fine():
    assert deliver(b"[]").json() == {"stored": 0, "known": 0, "malformed": 0, "left": 0}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        ";;;",
    ],
)
def test_another_type_of_content_is_told_so(ours, content_type):
    assert words(deliver([of_message(ours, "delivered")], content_type=content_type)) == (415, "type")
    assert is_untouched(ours)


def test_compressed_content_is_told_so():
    assert words(deliver(b"[]", headers={"Authorization": basic(), "Content-Encoding": "gzip"})) == (415, "type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/cloudevents-batch+json"]
)
def test_the_types_of_events_are_taken(ours, content_type):
    assert deliver([of_message(ours, "delivered")], content_type=content_type).status_code == 200


def test_too_much_is_not_read(ours):
    class Endless(BytesIO):
        def read(self, size=-1):
            raise AssertionError("read")

    request = RequestFactory().post(PATH, b"", content_type="application/json")
    request.META["CONTENT_LENGTH"] = str(webhooks.MAX_BODY + 1)
    request._stream = Endless()
    assert words(webhooks.EventsView.as_view()(request)) == (413, "large")


def test_a_length_that_lies_gains_nothing():
    """As a server might hand on a body in chunks: the length says nothing, the body does not end."""
    for said in ("", "0", "5"):
        request = RequestFactory().post(PATH, b"", content_type="application/json", headers={"Authorization": basic()})
        request.META["CONTENT_LENGTH"] = said
        request._stream = BytesIO(b" " * (webhooks.MAX_BODY + 2))
        assert words(webhooks.EventsView.as_view()(request)) == (413, "large")


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "٣", "9" * 5000])
def test_a_length_that_is_none_is_told_so(length):
    request = RequestFactory().post(PATH, b"[]", content_type="application/json", headers={"Authorization": basic()})
    request.META["CONTENT_LENGTH"] = length
    assert webhooks.EventsView.as_view()(request).status_code in (400, 413)


def test_the_largest_body_and_the_longest_batch_are_taken(ours):
    fill = b" " * (webhooks.MAX_BODY - 2)
    assert deliver(b"[" + fill + b"]").status_code == 200
    assert words(deliver(b"[" + fill + b" ]")) == (413, "large")
    assert words(deliver([{}] * (webhooks.MAX_BATCH + 1))) == (413, "large")


def test_a_body_that_breaks_off_is_told_so():
    class Broken(BytesIO):
        def read(self, size=-1):
            raise OSError("gone")

    request = RequestFactory().post(PATH, b"[]", content_type="application/json")
    request._stream = Broken()
    assert words(webhooks.EventsView.as_view()(request)) == (400, "unreadable")


def test_a_stranger_costs_no_statement_and_learns_nothing(ours):
    strange = {"Authorization": basic("x", "y")}
    with CaptureQueriesContext(connection) as captured:
        answers = {words(deliver(body, headers=strange)) for body in (b"", b"x", b"[]", b'{"id": 1}', DEEP)}
    assert answers == {(403, "forbidden")}
    assert captured.captured_queries == []


def test_the_webhook_needs_no_session_no_csrf_and_no_signing_in(ours, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    response = deliver([of_message(ours, "delivered")], client=Client(enforce_csrf_checks=True))
    assert response.status_code == 200
    assert response.cookies == {}
    assert response["Cache-Control"] == "no-store, private"


def test_a_browser_that_waits_for_its_second_factor_is_not_sent_away(ours):
    user = get_user_model().objects.create_user("ann", password="correct horse")
    make_factor(user)
    client = Client()
    sign_in(client)
    assert deliver([of_message(ours, "delivered")], client=client).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_webhook_stands_outside_of_the_sites_transactions(ours):
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert deliver([of_message(ours, "delivered")]).status_code == 200
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert fate(ours)["delivery"] == "delivered"


@pytest.mark.django_db(transaction=True)
async def _arrives(body: bytes):
    return await AsyncClient().post(PATH, body, content_type="application/json", headers={"Authorization": basic()})


@pytest.mark.django_db(transaction=True)
def test_the_webhook_works_under_asgi(ours):
    body = json.dumps([of_message(ours, "delivered")]).encode()
    assert async_to_sync(_arrives)(body).status_code == 200
    assert async_to_sync(_arrives)(b" " * (webhooks.MAX_BODY + 1)).status_code == 413
    assert fate(ours)["delivery"] == "delivered"


def test_no_answer_and_no_log_holds_what_an_event_holds(ours, caplog):
    caplog.set_level(logging.DEBUG)
    odd = of_message(ours, "delivered", id=None)
    body = json.dumps([odd, of_message(ours, "delivered"), {"to": PHONE}]).encode()
    answers = [deliver(body), deliver(body + b"x"), deliver(body, headers={}), deliver(body, content_type="text/plain")]
    assert [one.status_code for one in answers] == [200, 400, 403, 415]
    assert all(PHONE.encode() not in one.content for one in answers)
    assert PHONE not in caplog.text
    assert CREDENTIALS["password"] not in caplog.text


def found(*ids: str) -> list[str]:
    return [one.id for one in run_checks() if one.id in ids]


@pytest.mark.parametrize(
    "setting",
    [
        "x",
        {"secret": 1},
        {"username": "sink"},
        {"password": "x"},
        {"username": "a:b", "password": "x"},
        {"url": "/verify/"},
        {"url": "http://a.b/"},
        {"factors_url": "http://a.b/"},
        {"factors_url": "https://a.b/?x=1"},
        {"url": "https://a.b/?x=1"},
        {"url": "https://["},
        {"max_age": 60, **CREDENTIALS},
        {"max_age": "soon", **CREDENTIALS},
    ],
)
def test_a_setting_that_cannot_work_is_an_error(settings, setting):
    settings.TWILIO_VERIFY_WEBHOOK = setting
    assert set(found("twilio_verify.E050", "twilio_verify.W050")) == {"twilio_verify.E050"}


def test_a_webhook_that_refuses_everybody_is_warned_of(settings):
    assert found("twilio_verify.E050", "twilio_verify.W050") == []
    settings.TWILIO_VERIFY_WEBHOOK = {"url": "https://shop.example/verify/webhooks/verify/"}
    assert found("twilio_verify.E050", "twilio_verify.W050") == ["twilio_verify.W050"]
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend(auth_token=TOKEN)}
    assert found("twilio_verify.E050", "twilio_verify.W050") == []
    # Who does not use it is not bothered.
    settings.TWILIO_VERIFY_WEBHOOK, settings.TWILIO_VERIFY_BACKENDS = None, {"default": backend()}
    assert found("twilio_verify.E050", "twilio_verify.W050") == []


def test_the_password_is_not_shown(settings):
    settings.TWILIO_VERIFY_WEBHOOK = {**CREDENTIALS, "max_age": "86400"}
    assert CREDENTIALS["password"] not in repr(conf.settings.webhook)
    assert conf.settings.webhook.max_age == 86_400
