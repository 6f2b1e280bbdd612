"""The loopback server, by plain HTTP: what the SDK never sends, and what it never looks at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.test import override_settings

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.results import ProviderStatus
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.testing.verify_server import Request, Response
from tests.support.openapi_plugin import description


class Twilio:
    """A client without an SDK."""

    def __init__(self, server: VerifyServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.auth = (server.account_sid, server.password)

    def __call__(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        base = f"{self.server.url}/v2/Services/{self.server.service_sid}/"
        url = self.server.url + path if path.startswith("/") else base + path
        answer = self.session.request(method, url, timeout=5, **more)
        return answer.status_code, answer.json()


@pytest.fixture
def twilio(server: VerifyServer) -> Iterator[Twilio]:
    client = Twilio(server)
    with client.session:
        yield client


def start(twilio: Twilio, to: str = "+12025550143", channel: str = "sms") -> dict[str, Any]:
    status, body = twilio("POST", "Verifications", data={"To": to, "Channel": channel})
    assert status == 201
    return body


def test_a_verification_looks_like_twilios(server: VerifyServer, twilio: Twilio) -> None:
    body = start(twilio)
    (attempt,) = body["send_code_attempts"]
    assert re.fullmatch("VE[0-9a-f]{32}", body["sid"])
    assert re.fullmatch("VL[0-9a-f]{32}", attempt["attempt_sid"])
    assert attempt["channel"] == "SMS"
    assert {name: body[name] for name in ("to", "channel", "status", "valid", "lookup", "sna")} == {
        "to": "+12025550143",
        "channel": "sms",
        "status": "pending",
        "valid": False,
        "lookup": {},
        "sna": None,
    }
    assert body["url"].endswith(f"{server.service_sid}/Verifications/{body['sid']}")
    assert server.sent[0].code not in json.dumps(body).replace(body["sid"], "")


def test_a_check_an_update_and_a_fetch(server: VerifyServer, twilio: Twilio) -> None:
    sid = start(twilio)["sid"]
    assert twilio("GET", f"Verifications/{sid}")[1]["status"] == "pending"
    assert twilio("GET", "Verifications/%2B12025550143")[1]["sid"] == sid
    status, body = twilio("POST", f"Verifications/{sid}", data={"Status": "canceled"})
    assert (status, body["status"]) == (200, "canceled")
    sid = start(twilio)["sid"]
    answer = {"VerificationSid": sid, "Code": server.sent[-1].code}
    status, body = twilio("POST", "VerificationCheck", data=answer)
    assert (status, body["status"], body["valid"]) == (201, "approved", True)
    assert twilio("POST", "VerificationCheck", data=answer)[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "code"),
    [
        ("POST", "VerificationCheck", {"Code": "123456"}, 400, 60221),
        ("POST", "VerificationCheck", {"Code": "1", "To": "+12025550143"}, 400, 60200),
        ("POST", "Verifications/VE1", {"Status": "approved"}, 404, 20404),
        ("GET", "Verifications/VE1", None, 404, 20404),
    ],
)
def test_errors_look_like_twilios(
    twilio: Twilio, method: str, path: str, data: dict[str, str] | None, status: int, code: int
) -> None:
    answer = twilio(method, path, data=data)
    assert answer[0] == status
    assert answer[1]["code"] == code
    assert answer[1]["status"] == status
    assert answer[1]["more_info"].endswith(f"/{code}")
    assert answer[1]["message"]


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("POST", "Verifications", {"To": "+12025550143"}, 400),
        ("DELETE", "Verifications/VE1", None, 404),
        ("GET", "/v2/Elsewhere", None, 404),
        ("POST", "/v2/Services/VA1/Verifications", {}, 404),
    ],
)
def test_what_is_not_in_the_description(
    twilio: Twilio,
    exchanges_are_as_described: list[str],
    method: str,
    path: str,
    data: dict[str, str] | None,
    status: int,
) -> None:
    assert twilio(method, path, data=data)[0] == status
    # With Twilio's description at hand, the validator has noticed: what it found is meant to be there.
    assert bool(exchanges_are_as_described) == (description() is not None)
    exchanges_are_as_described.clear()


@pytest.mark.parametrize("auth", [None, ("AC1", "x"), ("", "")])
def test_strangers_are_turned_away(server: VerifyServer, twilio: Twilio, auth: tuple[str, str] | None) -> None:
    twilio.session.auth = auth
    status, body = twilio("POST", "Verifications", data={"To": "+12025550143", "Channel": "sms"})
    assert (status, body["code"]) == (401, 20003)
    assert server.sent == []


def test_a_body_that_is_no_form_is_not_read(twilio: Twilio, exchanges_are_as_described: list[str]) -> None:
    status, body = twilio("POST", "Verifications", json={"To": "+12025550143", "Channel": "sms"})
    assert (status, body["code"]) == (400, 60200)
    exchanges_are_as_described.clear()


def test_attempts_are_filtered(server: VerifyServer, twilio: Twilio) -> None:
    first = start(twilio)["sid"]
    start(twilio, "+431234567890", "call")
    start(twilio, "ann@example.com", "email")
    server.simulator.check(server.sent[0].code, sid=first)

    def found(**query: str) -> list[str]:
        return [one["channel"] for one in twilio("GET", "/v2/Attempts", params=query)[1]["attempts"]]

    assert found() == ["email", "call", "sms"]
    assert found(**{"ChannelData.To": "+431234567890"}) == ["call"]
    assert found(Country="US") == ["sms"]
    assert found(Channel="email") == ["email"]
    assert found(VerificationSid=first) == ["sms"]
    assert found(Status="converted") == ["sms"]
    assert found(Status="unconverted") == ["email", "call"]
    assert found(DateCreatedAfter="2099-01-01T00:00:00Z") == []
    assert found(DateCreatedBefore="2099-01-01T00:00:00Z") == ["email", "call", "sms"]
    assert found(VerifyServiceSid="VA" + "0" * 32) == []


def test_attempts_come_in_pages(server: VerifyServer, twilio: Twilio) -> None:
    for number in range(100, 105):
        server.simulator.create(f"+12025550{number}", "sms")
    seen, url = [], "/v2/Attempts?PageSize=2"
    while url:
        body = twilio("GET", url)[1]
        seen += [one["sid"] for one in body["attempts"]]
        assert body["meta"]["page_size"] == 2
        assert bool(body["meta"]["previous_page_url"]) == (body["meta"]["page"] > 0)
        url = (body["meta"]["next_page_url"] or "").removeprefix(server.url)
    assert seen == [one.sid for one in server.simulator.attempts()]
    assert server.count("Attempts") == 3


def test_faults_come_in_order_and_once(server: VerifyServer, twilio: Twilio) -> None:
    server.fail_next(status=503, body='{"first": 1}')
    server.fail_next(status=429, code=20429, times=2)
    data = {"To": "+12025550143", "Channel": "sms"}
    answers = [twilio("POST", "Verifications", data=data) for _ in range(4)]
    assert [status for status, _ in answers] == [503, 429, 429, 201]
    assert answers[0][1] == {"first": 1}
    assert answers[1][1]["code"] == 20429
    assert len(server.sent) == 1
    assert server.count("Verifications") == 4


def test_a_delay_is_over_when_the_server_closes() -> None:
    with VerifyServer() as server:
        server.delay(600)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{server.url}/v2/Attempts", timeout=2)  # by when the server has read it
        assert server.count("Attempts") == 1
        server.requests.clear()


def test_an_observer_sees_each_exchange() -> None:
    seen: list[tuple[Request, Response]] = []
    with VerifyServer(observer=lambda *both: seen.append(both), code_length=8) as server:
        client = Twilio(server)
        with client.session:
            start(client)
    ((request, response),) = seen
    assert request.endpoint == "Verifications"
    assert dict(request.form)["To"] == "+12025550143"
    assert (response.status, response.fault) == (201, "")
    assert "2025550143" not in f"{request!r} {response!r}"
    assert len(server.sent[0].code) == 8


def test_a_bug_in_an_observer_is_not_lost() -> None:
    def observe(request: Request, response: Response) -> None:
        raise KeyError("a bug")

    def ask(server: VerifyServer) -> None:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{server.url}/v2/Attempts", timeout=5)

    with pytest.raises(KeyError, match="a bug"), VerifyServer(observer=observe) as server:
        ask(server)


def test_a_server_that_was_never_started_can_be_closed() -> None:
    VerifyServer().close()


def test_it_stands_in_for_twilio_by_one_setting(
    server: VerifyServer, recipient: Recipient, capfd: pytest.CaptureFixture[str]
) -> None:
    with override_settings(TWILIO_VERIFY_BACKENDS=server.setting(timeout=5)):
        backend = backends["default"]
        sid = backend.start(recipient, Channel.SMS).sid
        answer = backend.check(recipient, server.sent[-1].code, sid=sid)
        backend.close()  # type: ignore[attr-defined]
    assert answer.status is ProviderStatus.APPROVED
    printed = capfd.readouterr()
    assert printed.out + printed.err == "", "a server that logs requests would log numbers"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Tags", "{"),
        ("Tags", "[]"),
        ("RateLimits", "1"),
        ("ChannelConfiguration", '"x"'),
        ("TemplateCustomSubstitutions", "null"),
        ("Templates", "{}"),
    ],
)
def test_a_parameter_that_is_not_the_json_it_should_be(
    server: VerifyServer, twilio: Twilio, exchanges_are_as_described: list[str], name: str, text: str
) -> None:
    data = {"To": "+12025550143", "Channel": "sms", name: text}
    status, body = twilio("POST", "Verifications", data=data)
    assert (status, body["code"]) == (400, 60200)
    assert name in body["message"]
    assert server.sent == []
    exchanges_are_as_described.clear()


def test_a_silent_check_looks_like_twilios(server: VerifyServer, twilio: Twilio) -> None:
    server.simulator.lookup_enabled = True
    body = start(twilio, channel="sna")
    assert set(body["sna"]) == {"url"}
    assert body["lookup"]["carrier"]["type"] == "mobile"
    attempt = body["send_code_attempts"][0]["attempt_sid"]
    asked = {"VerificationSid": body["sid"]}
    status, waiting = twilio("POST", "VerificationCheck", data=asked)
    assert (status, waiting["status"]) == (201, "pending")
    assert waiting["sna_attempts_error_codes"] == [{"attempt_sid": attempt, "code": 60519}]
    opened = requests.post(body["sna"]["url"], timeout=5)  # the phone has no credentials
    assert (opened.status_code, opened.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert twilio("POST", "VerificationCheck", data=asked)[1]["status"] == "approved"
    assert requests.get(body["sna"]["url"], timeout=5).text.startswith("ErrorCode=-10")


def test_a_payment_is_repeated_in_the_answers(server: VerifyServer, twilio: Twilio) -> None:
    payment = {"Amount": "39.90", "Payee": "Acme"}
    data = {"To": "+12025550143", "Channel": "sms", **payment}
    status, body = twilio("POST", "Verifications", data=data)
    assert (status, body["amount"], body["payee"]) == (201, "39.90", "Acme")
    answer = {"To": "+12025550143", "Code": server.sent[0].code}
    assert twilio("POST", "VerificationCheck", data=answer)[1]["code"] == 60206
    approved = twilio("POST", "VerificationCheck", data={**answer, **payment})[1]
    assert (approved["status"], approved["amount"], approved["payee"]) == ("approved", "39.90", "Acme")


def test_attempts_tell_what_became_of_them(server: VerifyServer, twilio: Twilio) -> None:
    server.simulator.rcs_numbers.add("+12025550143")
    server.simulator.undelivered["+12025550144"] = 21610
    start(twilio)
    start(twilio, "+12025550144")
    start(twilio, "+12025550145", "call")
    start(twilio, "+12025550146", "sna")
    listed = twilio("GET", "/v2/Attempts")[1]["attempts"]
    told = [
        (one["channel"], one["channel_data"].get("message_status"), one["channel_data"]["error_code"]) for one in listed
    ]
    assert told == [("call", None, None), ("sms", "undelivered", "21610"), ("rbm", "delivered", None)]
    assert listed[0]["channel_data"]["call_status"] == "completed"


def test_a_token_that_was_never_given_is_refused(twilio: Twilio) -> None:
    status, body = twilio("GET", "/v2/Attempts", params={"PageToken": "PAVL1"})
    assert (status, body["code"]) == (400, 60200)


def test_pages_go_back_as_well(server: VerifyServer, twilio: Twilio) -> None:
    for number in range(100, 104):
        server.simulator.create(f"+12025550{number}", "sms")
    first = twilio("GET", "/v2/Attempts?PageSize=2")[1]
    second = twilio("GET", first["meta"]["next_page_url"].removeprefix(server.url))[1]
    back = twilio("GET", second["meta"]["previous_page_url"].removeprefix(server.url))[1]
    assert back["attempts"] == first["attempts"]


def test_other_paths_are_for_extensions(monkeypatch: pytest.MonkeyPatch, exchanges_are_as_described: list[str]) -> None:
    class Weather:
        def __init__(self, server: VerifyServer) -> None:
            self.server = server

        def answer(self, request: Request) -> tuple[int, Any] | None:
            if request.path != "/v2/Weather":
                return None
            return 200, {"of": self.server.account_sid, "said": request.body.decode()}

    monkeypatch.setattr(VerifyServer, "extensions", [*VerifyServer.extensions, Weather])
    with VerifyServer() as server:
        client = Twilio(server)
        with client.session:
            told = client("POST", "/v2/Weather", json=["rain"])
            assert told == (200, {"of": server.account_sid, "said": '["rain"]'})
            assert client("GET", "/v2/Elsewhere")[0] == 404
            client.session.auth = None
            assert client("POST", "/v2/Weather")[0] == 401
    exchanges_are_as_described.clear()
