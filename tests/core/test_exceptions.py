"""What goes wrong: one code, one sentence, the right answer."""

from __future__ import annotations

import copy
import pickle
import string
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import Http404
from django.utils.functional import Promise
from django.utils.translation import gettext, override

from django_twilio_verify import exceptions
from django_twilio_verify.choices import Channel
from django_twilio_verify.exceptions import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    ConsentRequired,
    FactorHeld,
    FactorNotFound,
    InvalidRecipient,
    LastFactor,
    RateLimited,
    ResetLinkRequired,
    TooWeak,
    TwilioVerifyError,
    VerificationNotFound,
)

RETRY_AT = datetime(2030, 1, 1, tzinfo=UTC)
PARAMS = {"suggestion": "ann@gmail.com"}
LEAVES = [
    InvalidRecipient,
    ConsentRequired,
    VerificationNotFound,
    FactorNotFound,
    FactorHeld,
    ResetLinkRequired,
    TooWeak,
    LastFactor,
    RateLimited,
    BackendUnavailable,
    BackendRejected,
]
CODES = [(leaf, code) for leaf in LEAVES for code in leaf.sentences]


def make(leaf: type[TwilioVerifyError], code: str | None = None) -> TwilioVerifyError:
    options: dict[str, Any] = {}
    if leaf is RateLimited:
        options["retry_at"] = RETRY_AT
    if leaf is BackendUnavailable:
        return BackendUnavailable(perhaps_done=True, provider_code=20500)
    if code == "email_typo":
        options["params"] = PARAMS
    return leaf(code, **options)


def placeholders(sentence: object) -> set[str]:
    """The names in ``%(name)s`` of a sentence."""
    found = set()
    for part in str(sentence).split("%(")[1:]:
        found.add(part.partition(")")[0])
    return found


def test_this_file_knows_every_error() -> None:
    defined = {
        found for found in vars(exceptions).values() if isinstance(found, type) and issubclass(found, TwilioVerifyError)
    }
    assert defined == {*LEAVES, TwilioVerifyError, BackendError}


@pytest.mark.parametrize(
    ("leaf", "django_type"),
    [
        (InvalidRecipient, ValidationError),
        (ConsentRequired, PermissionDenied),
        (VerificationNotFound, Http404),
        (FactorNotFound, Http404),
        (BackendUnavailable, BackendError),
        (BackendRejected, BackendError),
        *[(leaf, TwilioVerifyError) for leaf in LEAVES],
    ],
)
def test_each_error_is_of_the_type_that_answers_rightly(leaf: type[TwilioVerifyError], django_type: type) -> None:
    assert isinstance(make(leaf), django_type)
    assert not issubclass(leaf, ImproperlyConfigured)


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_each_code_has_a_sentence_that_renders(leaf: type[TwilioVerifyError], code: str) -> None:
    error = make(leaf, code)
    assert error.code == code
    assert error.sentence[0].isupper()
    assert error.sentence[-1] in ".?!"
    assert "%" not in error.sentence
    assert placeholders(leaf.sentences[code]) <= set(PARAMS)


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_each_sentence_waits_for_the_language_of_its_reader(leaf: type[TwilioVerifyError], code: str) -> None:
    template = leaf.sentences[code]
    assert isinstance(template, Promise)
    with override("de"):
        error = make(leaf, code)
        translated = gettext(str(template))
        assert error.sentence == (translated % PARAMS if placeholders(translated) else translated)


def test_codes_are_unique_among_all_errors() -> None:
    counted = Counter(code for _, code in CODES)
    assert [code for code, times in counted.items() if times > 1] == []
    assert all(set(code) <= {*string.ascii_lowercase, "_"} for _, code in CODES)


@pytest.mark.parametrize("leaf", LEAVES)
def test_an_error_has_a_code_without_being_given_one(leaf: type[TwilioVerifyError]) -> None:
    error = make(leaf)
    assert error.code == leaf.default_code
    assert error.code in leaf.sentences
    assert error.params == {}


@pytest.mark.parametrize("leaf", [InvalidRecipient, ConsentRequired, VerificationNotFound, BackendRejected])
def test_an_unknown_code_still_has_a_sentence(leaf: type[TwilioVerifyError]) -> None:
    error = make(leaf, "from_the_future")
    assert error.code == "from_the_future"
    assert error.sentence == str(leaf.sentences[leaf.default_code])


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_an_error_can_be_copied_and_queued(leaf: type[TwilioVerifyError], code: str) -> None:
    error = make(leaf, code)
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  our own bytes
        assert type(copied) is leaf
        assert (copied.code, copied.params, copied.sentence) == (error.code, error.params, error.sentence)
        assert getattr(copied, "retry_at", None) == getattr(error, "retry_at", None)
        assert getattr(copied, "perhaps_done", None) == getattr(error, "perhaps_done", None)
        assert getattr(copied, "provider_code", None) == getattr(error, "provider_code", None)


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_the_text_of_an_error_holds_no_address(leaf: type[TwilioVerifyError], code: str) -> None:
    error = make(leaf, code)
    for told in (str(error), repr(error), f"{error}", str(error.args)):
        assert "ann@" not in told


def test_the_text_of_a_typo_names_the_domain() -> None:
    error = InvalidRecipient("email_typo", PARAMS)
    assert str(error) == "Did you mean …@gmail.com? Correct the address and try again."
    assert error.sentence == "Did you mean ann@gmail.com? Correct the address and try again."


def test_an_invalid_recipient_is_a_whole_validation_error() -> None:
    error = InvalidRecipient("email_typo", PARAMS)
    assert error.error_list == [error]
    assert error.messages == ["Did you mean ann@gmail.com? Correct the address and try again."]
    assert not hasattr(error, "error_dict")
    again = ValidationError([error, "Another."])
    assert again.messages == [*error.messages, "Another."]
    assert ValidationError({"email": error}).message_dict == {"email": error.messages}


def test_equal_mistakes_are_equal() -> None:
    assert InvalidRecipient("email_typo", PARAMS) == InvalidRecipient("email_typo", PARAMS)
    assert len({InvalidRecipient("phone_invalid"), InvalidRecipient("phone_invalid")}) == 1
    assert InvalidRecipient("phone_invalid") != InvalidRecipient("phone_missing")


def test_params_given_are_not_shared() -> None:
    given = {"suggestion": "ann@gmail.com"}
    error = InvalidRecipient("email_typo", given)
    given["suggestion"] = "eve@gmail.com"
    assert error.params == PARAMS


def test_what_errors_know_besides() -> None:
    assert RateLimited("ip_hour", retry_at=RETRY_AT).retry_at == RETRY_AT
    assert BackendUnavailable(perhaps_done=True).perhaps_done is True
    assert BackendUnavailable(perhaps_done=False).provider_code == 0
    assert BackendRejected("landline", provider_code=60205).provider_code == 60205


def test_a_block_for_fraud_reads_like_any_refusal() -> None:
    words = str(BackendRejected.sentences["cannot_send"]).lower()
    assert not any(word in words for word in ("fraud", "block", "country", "limit"))


def test_a_refusal_names_the_other_ways_that_a_flow_knows() -> None:
    error = BackendRejected("misconfigured")
    plain = error.sentence
    error.other_channels = (Channel.CALL, Channel.EMAIL)
    assert error.sentence == f"{plain} Possible now: phone call, email." == str(error)
