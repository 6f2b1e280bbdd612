"""Holds exchanges with the loopback server against Twilio's own description of the API.

The description is OpenAPI 3.0 (``twilio_verify_v2.json`` of https://github.com/twilio/twilio-oai).
Its schemas are turned into JSON Schema, Draft 2020-12, and made stricter: an answer has every field
that is described, and none else; a request has no parameter that is not.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from django_twilio_verify.testing.verify_server import Pairs, Request, Response

URI = "urn:description"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
NEWER = {"Templates": {"type": "string"}}
"""Parameters of the SDK 9.13 that the description of 2026-04 does not have yet."""
JSON_TEXTS = ("Tags", "TemplateCustomSubstitutions", "RateLimits", "ChannelConfiguration")
"""Parameters whose value is JSON, whatever their schema says
(https://www.twilio.com/docs/verify/api/verification).
"""

# Errors are described for one status of one operation only; Twilio gives all of them this shape
# (https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions).
ERROR = {
    "type": "object",
    "required": ["code", "message", "more_info", "status"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "integer", "minimum": 10000},
        "message": {"type": "string", "minLength": 1},
        "more_info": {"type": "string", "format": "uri"},
        "status": {"type": "integer"},
    },
}

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    # RFC 3339, and in the one form that the SDK can read.
    return not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ"))


@formats.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


@formats.checks("iso-country-code")
def _is_country(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch("[A-Z]{2}", value))


class Description:
    """The API as described. ``problems`` holds one exchange against it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.paths = document["paths"]
        schemas = converted(document.get("components", {}).get("schemas", {}))
        root = {"components": {"schemas": schemas}}
        resource = Resource(contents=root, specification=DRAFT202012)
        self._registry = Registry().with_resource(URI, resource)

    def problems(self, request: Request, response: Response) -> list[str]:
        """What is wrong with an exchange, one sentence each; none if it is as described."""
        found = self._operation(request)
        if found is None:
            return [f"{request.method} {request.endpoint or request.path}: not described"]
        operation, path = found
        wrong = [*self._request_problems(operation, path, request)]
        if response.status != 401:  # a test may show that strangers are turned away
            wrong += _authorization_problems(request)
        if not response.fault:
            wrong += self._response_problems(operation, response)
        return [f"{request.method} {request.endpoint}: {sentence}" for sentence in wrong]

    def _operation(self, request: Request) -> tuple[Mapping[str, Any], dict[str, str]] | None:
        for template, item in self.paths.items():
            names = re.findall(r"{(\w+)}", template)
            pattern = re.sub(r"{(\w+)}", "([^/]+)", template)
            match = re.fullmatch(pattern, request.path)
            if match and request.method.lower() in item:
                values = (unquote(group) for group in match.groups())
                return item[request.method.lower()], dict(zip(names, values, strict=True))
        return None

    def _request_problems(
        self, operation: Mapping[str, Any], path: Mapping[str, str], request: Request
    ) -> Iterator[str]:
        parameters = operation.get("parameters", [])
        for place, pairs in (("path", tuple(path.items())), ("query", request.query)):
            described = {one["name"]: one for one in parameters if one["in"] == place}
            required = {name for name, one in described.items() if one.get("required")}
            schemas = {name: one["schema"] for name, one in described.items()}
            yield from self._pair_problems(place, pairs, schemas, required)
        content = operation.get("requestBody", {}).get("content", {})
        problems = self._json_body_problems if JSON in content else self._form_problems
        yield from problems(content, request)

    def _json_body_problems(self, content: Mapping[str, Any], request: Request) -> Iterator[str]:
        if not request.headers.get("content-type", "").startswith(JSON):
            yield "the body is not JSON"
            return
        schema = converted(content[JSON]["schema"], complete=False)
        yield from self._schema_problems("body", schema, json.loads(request.body))

    def _form_problems(self, content: Mapping[str, Any], request: Request) -> Iterator[str]:
        schema = content.get(FORM, {}).get("schema", {})
        if content and not request.headers.get("content-type", "").startswith(FORM):
            yield "the body is not a form"
        required = {*schema.get("required", ())}
        yield from self._pair_problems("form", request.form, schema.get("properties", {}), required)

    def _pair_problems(self, place: str, pairs: Pairs, schemas: Mapping[str, Any], required: set[str]) -> Iterator[str]:
        names = [name for name, _ in pairs]
        lists = {name for name in names if schemas.get(name, {}).get("type") == "array"}  # given once for each item
        yield from (f"{place}: {name} twice" for name in {*names} - lists if names.count(name) > 1)
        yield from (f"{place}: {name} is missing" for name in sorted(required - {*names}))
        for name, text in pairs:
            schema = schemas.get(name, NEWER.get(name))
            if schema is None:
                yield f"{place}: {name} is not described"
                continue
            schema = converted(schema)
            yield from self._schema_problems(f"{place}: {name}", schema, self._typed(schema, text))
            yield from _json_problems(name, text)

    def _typed(self, schema: Mapping[str, Any], text: str) -> object:
        """A parameter's text as the type that its schema asks for, or the text if it is not of that
        type.
        """
        if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
            return int(text)
        if schema.get("type") == "boolean" and text in ("true", "false"):
            return text == "true"
        return [text] if schema.get("type") == "array" else text

    def _response_problems(self, operation: Mapping[str, Any], response: Response) -> list[str]:
        if response.status == 204:
            described = "204" in operation["responses"] and not response.body
            return [] if described else ["an answer with nothing in it is not described, or has something in it"]
        try:
            body = json.loads(response.body)
        except ValueError:
            return ["the answer is not JSON"]
        if response.status >= 400:
            problems = [*self._schema_problems("error", ERROR, body)]
            if not problems and body["status"] != response.status:
                problems = ["error: the status in the body is another"]
            return problems
        described = operation["responses"].get(str(response.status))
        if described is None:
            return [f"status {response.status} is not described"]
        schema = converted(described["content"]["application/json"]["schema"])
        return [*self._schema_problems("answer", schema, body)]

    def _schema_problems(self, where: str, schema: Mapping[str, Any], value: object) -> Iterator[str]:
        validator = Draft202012Validator(schema, registry=self._registry, format_checker=formats)
        for error in validator.iter_errors(value):
            field = ".".join(str(part) for part in error.absolute_path)
            yield f"{where} {field}: {error.message}"


def converted(schema: Any, *, complete: bool = True) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema, with objects that are described closed and, for answers, complete."""
    if isinstance(schema, list):
        return [converted(one, complete=complete) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    result = {name: converted(one, complete=complete) for name, one in schema.items() if name != "nullable"}
    if isinstance(schema.get("$ref"), str):
        result["$ref"] = URI + schema["$ref"]
    if isinstance(schema.get("properties"), Mapping) and schema.get("type") == "object":
        result["additionalProperties"] = False
        if complete:
            result["required"] = sorted(schema["properties"])
    if schema.get("nullable") is True:
        return _or_null(result)
    return result


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _json_problems(name: str, text: str) -> list[str]:
    if name not in JSON_TEXTS:
        return []
    try:
        value = json.loads(text)
    except ValueError:
        return [f"form: {name} is not JSON"]
    if not isinstance(value, dict):
        return [f"form: {name} is not an object"]
    small = len(value) <= 10 and all(isinstance(one, str) and len(one) <= 128 for one in value.values())
    return [] if name != "Tags" or small else ["form: Tags: at most 10, of up to 128 characters"]


def _authorization_problems(request: Request) -> list[str]:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    user, _, secret = base64.b64decode(value).decode().partition(":")
    # A phone comes as "token": not described, but what Twilio's libraries for phones send.
    ok = kind == "Basic" and re.fullmatch("(AC|SK)[0-9a-fA-F]{32}|token", user) and secret
    return [] if ok else ["no basic authorization by account or API key"]
