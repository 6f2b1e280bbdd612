"""The validator finds what is not as described. The description here is a small one of the same form as Twilio's."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.testing.verify_server import Request, Response
from tests.support.openapi import ERROR, FORM, Description, converted
from tests.support.openapi_plugin import description

SERVICE = "VA" + "1" * 32
SID = "VE" + "a" * 32
ACCOUNT = "AC" + "0" * 32
AUTHORIZATION = "Basic " + base64.b64encode(f"{ACCOUNT}:secret".encode()).decode()


def sid_schema(prefix: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{prefix}[0-9a-fA-F]{{32}}$", **more}


DOCUMENT = {
    "openapi": "3.0.1",
    "components": {
        "schemas": {
            "word": {"type": "string", "enum": ["one", "two"]},
            "thing": {
                "type": "object",
                "properties": {
                    "sid": sid_schema("VE", nullable=True),
                    "word": {"$ref": "#/components/schemas/word"},
                    "maybe": {"type": "string", "enum": ["x"], "nullable": True},
                    "lookup": {"nullable": True},
                    "made": {"type": "string", "format": "date-time"},
                    "url": {"type": "string", "format": "uri"},
                    "country": {"type": "string", "format": "iso-country-code"},
                },
            },
        }
    },
    "paths": {
        "/v2/Services/{ServiceSid}/Things": {
            "post": {
                "parameters": [
                    {
                        "name": "ServiceSid",
                        "in": "path",
                        "schema": sid_schema("VA"),
                        "required": True,
                    }
                ],
                "requestBody": {
                    "content": {
                        FORM: {
                            "schema": {
                                "type": "object",
                                "required": ["To"],
                                "properties": {
                                    "To": {"type": "string"},
                                    "Word": {"$ref": "#/components/schemas/word"},
                                    "Wanted": {"type": "boolean"},
                                    "Tags": {"type": "string"},
                                    "RateLimits": {},
                                },
                            }
                        }
                    }
                },
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/thing"}}}}
                },
            }
        },
        "/v2/List": {
            "get": {
                "parameters": [
                    {
                        "name": "PageSize",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1},
                    },
                    {
                        "name": "After",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "string", "format": "date-time"},
                    },
                ],
                "responses": {"200": {"content": {"application/json": {"schema": {}}}}},
            }
        },
    },
}

THING = {
    "sid": SID,
    "word": "one",
    "maybe": None,
    "lookup": {"any": "thing"},
    "made": "2026-11-20T12:00:00Z",
    "url": "http://127.0.0.1:1/v2",
    "country": "AT",
}


def posted(**more: str) -> Request:
    form = {"To": "+12025550143", **more}
    headers = {"authorization": AUTHORIZATION, "content-type": FORM}
    path = f"/v2/Services/{SERVICE}/Things"
    return Request("POST", path, "Things", (), tuple(form.items()), headers)


def listed(**query: str) -> Request:
    headers = {"authorization": AUTHORIZATION}
    return Request("GET", "/v2/List", "List", tuple(query.items()), (), headers)


def changed(request: Request, **values: Any) -> Request:
    names = ("method", "path", "endpoint", "query", "form", "headers")
    return Request(**{**{name: getattr(request, name) for name in names}, **values})


def answered(**more: Any) -> Response:
    return Response(201, json.dumps({**THING, **more}))


def problems(request: Request, response: Response) -> list[str]:
    return Description(DOCUMENT).problems(request, response)


@pytest.mark.parametrize(
    "request_",
    [posted(), posted(Word="two", Wanted="true", Tags='{"a": "b"}', RateLimits='{"ip": "1"}')],
)
def test_what_is_as_described(request_: Request) -> None:
    assert problems(request_, answered()) == []
    assert problems(request_, answered(sid=None, maybe="x", lookup=None, word="two")) == []


def test_a_list_as_described() -> None:
    request = listed(After="2026-11-20T12:00:00Z", PageSize="5")
    assert problems(request, Response(200, "[]")) == []


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (posted(Colour="red"), "form: Colour is not described"),
        (posted(Word="three"), "form: Word"),
        (posted(Wanted="yes"), "form: Wanted"),
        (posted(Tags="a=b"), "form: Tags is not JSON"),
        (posted(Tags="[1]"), "form: Tags is not an object"),
        (posted(Tags='{"a": 1}'), "form: Tags: at most 10"),
        (posted(Tags=json.dumps({"a": "b" * 129})), "form: Tags: at most 10"),
        (posted(Tags=json.dumps({str(n): "" for n in range(11)})), "form: Tags: at most 10"),
        (posted(RateLimits="ip"), "form: RateLimits is not JSON"),
        (changed(posted(), form=()), "form: To is missing"),
        (changed(posted(), form=(("To", "1"), ("To", "2"))), "form: To twice"),
        (changed(posted(), query=(("Page", "1"),)), "query: Page is not described"),
        (changed(posted(), path="/v2/Services/VA1/Things"), "path: ServiceSid"),
        (changed(posted(), path="/v2/Things"), "not described"),
        (changed(posted(), method="GET"), "not described"),
        (changed(posted(), headers={"content-type": FORM}), "no basic authorization"),
        (
            changed(posted(), headers={"authorization": AUTHORIZATION, "content-type": "text/x"}),
            "the body is not a form",
        ),
        (listed(After="yesterday"), "query: After"),
        (listed(After="2026-11-20T12:00:00Z", PageSize="many"), "query: PageSize"),
        (listed(After="2026-11-20T12:00:00Z", PageSize="0"), "query: PageSize"),
        (listed(), "query: After is missing"),
    ],
)
def test_requests_that_are_not(request_: Request, said: str) -> None:
    response = answered() if request_.method == "POST" else Response(200, "{}")
    (problem,) = problems(request_, response)
    assert said in problem


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (answered(colour="red"), "'colour'"),
        (Response(201, json.dumps({"sid": SID})), "required property"),
        (answered(sid="VE1"), "answer sid"),
        (answered(word=None), "answer word"),
        (answered(word="three"), "answer word"),
        (answered(maybe="y"), "answer maybe"),
        (answered(made="20 November"), "answer made"),
        (answered(url="nowhere"), "answer url"),
        (answered(country="Austria"), "answer country"),
        (Response(201, "<html>"), "not JSON"),
        (Response(200, json.dumps(THING)), "status 200 is not described"),
        (Response(404, '{"code": 20404}'), "error"),
        (
            Response(404, json.dumps({"code": 1e5, "message": "x", "more_info": "x", "status": 1})),
            "error more_info",
        ),
    ],
)
def test_answers_that_are_not(response: Response, said: str) -> None:
    assert said in " ".join(problems(posted(), response))


def test_errors_have_the_shape_of_errors() -> None:
    error = {"code": 20404, "message": "gone", "more_info": "https://x/20404", "status": 404}
    assert problems(posted(), Response(404, json.dumps(error))) == []
    said = problems(posted(), Response(400, json.dumps(error)))
    assert said == ["POST Things: error: the status in the body is another"]
    assert set(ERROR["required"]) == {*error}  # type: ignore[call-overload]


def test_a_failure_asked_for_need_not_be_as_described() -> None:
    assert problems(posted(), Response(500, "oops", "status")) == []
    assert problems(posted(Colour="red"), Response(500, "oops", "status")) != []


def test_strangers_may_be_turned_away() -> None:
    error = {"code": 20003, "message": "no", "more_info": "https://x/20003", "status": 401}
    stranger = changed(posted(), headers={"content-type": FORM})
    assert problems(stranger, Response(401, json.dumps(error))) == []


def test_a_converted_schema_is_closed_and_complete() -> None:
    schema = converted(DOCUMENT["components"]["schemas"]["thing"])  # type: ignore[index]
    assert schema["additionalProperties"] is False
    assert schema["required"] == sorted(THING)
    assert schema["properties"]["sid"]["type"] == ["string", "null"]
    assert schema["properties"]["maybe"]["enum"] == ["x", None]


def test_every_server_of_a_test_is_observed(exchanges_are_as_described: list[str]) -> None:
    """With a description, one observer stands there for this test; without, none does."""
    assert len(VerifyServer.observers) == (description() is not None)
    assert exchanges_are_as_described == []
