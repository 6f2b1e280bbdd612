"""What goes wrong: one code, one sentence, the right answer."""

from __future__ import annotations

import copy
import json
import pickle
import string
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import Http404
from django.test import override_settings
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, override

from django_twilio_verify import exceptions
from django_twilio_verify.choices import Channel
from django_twilio_verify.exceptions import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    ChannelTooWeak,
    ConsentRequired,
    FactorHeld,
    FactorNotFound,
    InvalidRecipient,
    LastFactor,
    NoPendingLogin,
    NotRedeemable,
    RateLimited,
    RejectCode,
    ResetLinkRequired,
    TwilioVerifyError,
    VerificationNotFound,
    VerificationRequired,
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
    ChannelTooWeak,
    LastFactor,
    NoPendingLogin,
    NotRedeemable,
    VerificationRequired,
    RateLimited,
    BackendUnavailable,
    BackendRejected,
]
CODES = [(leaf, code) for leaf in LEAVES for code in leaf.user_messages]


def make(leaf: type[TwilioVerifyError], code: str | None = None) -> TwilioVerifyError:
    options: dict[str, Any] = {}
    if leaf is RateLimited:
        options["retry_at"] = RETRY_AT
    if leaf is BackendUnavailable:
        return BackendUnavailable(may_have_been_done=True, provider_code=20500)
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
    assert error.user_message[0].isupper()
    assert error.user_message[-1] in ".?!"
    assert "%" not in error.user_message
    assert placeholders(leaf.user_messages[code]) <= set(PARAMS)


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_each_sentence_waits_for_the_language_of_its_reader(leaf: type[TwilioVerifyError], code: str) -> None:
    template = leaf.user_messages[code]
    assert isinstance(template, Promise)
    with override("de"):
        error = make(leaf, code)
        translated = gettext(str(template))
        assert error.user_message == (translated % PARAMS if placeholders(translated) else translated)


def test_codes_are_unique_among_all_errors() -> None:
    counted = Counter(code for _, code in CODES)
    # SECURITY: a site words an error by its code (ERROR_MESSAGES): one code for two would tell strangers of an opt-out.
    assert [code for code, times in counted.items() if times > 1] == []
    assert all(set(code) <= {*string.ascii_lowercase, "_"} for _, code in CODES)


@pytest.mark.parametrize("leaf", LEAVES)
def test_an_error_has_a_code_without_being_given_one(leaf: type[TwilioVerifyError]) -> None:
    error = make(leaf)
    assert error.code == leaf.default_code
    assert error.code in leaf.user_messages
    assert error.params == {}


@pytest.mark.parametrize("leaf", [InvalidRecipient, ConsentRequired, VerificationNotFound])
def test_an_unknown_code_still_has_a_sentence(leaf: type[TwilioVerifyError]) -> None:
    error = make(leaf, "from_the_future")
    assert error.code == "from_the_future"
    assert error.user_message == str(leaf.user_messages[leaf.default_code])


def test_a_refusal_has_one_of_the_codes_that_there_are() -> None:
    assert {*BackendRejected.user_messages} == {*RejectCode}
    assert BackendRejected("wait").code is RejectCode.WAIT
    assert BackendRejected(RejectCode.WAIT).code == "wait"
    with pytest.raises(ValueError, match=r"'recipent' is no RejectCode.* 'recipient', 'landline', 'opted_out'"):
        BackendRejected("recipent")


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_an_error_can_be_copied_and_queued(leaf: type[TwilioVerifyError], code: str) -> None:
    error = make(leaf, code)
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  our own bytes
        assert type(copied) is leaf
        assert (copied.code, copied.params, copied.user_message) == (error.code, error.params, error.user_message)
        assert getattr(copied, "retry_at", None) == getattr(error, "retry_at", None)
        assert getattr(copied, "may_have_been_done", None) == getattr(error, "may_have_been_done", None)
        assert getattr(copied, "provider_code", None) == getattr(error, "provider_code", None)


@pytest.mark.parametrize(("leaf", "code"), CODES)
def test_the_text_of_an_error_holds_no_address(leaf: type[TwilioVerifyError], code: str) -> None:
    error = make(leaf, code)
    for told in (str(error), repr(error), f"{error}", str(error.args)):
        assert "ann@" not in told


def test_the_text_of_a_typo_names_the_domain() -> None:
    error = InvalidRecipient("email_typo", PARAMS)
    assert str(error) == "Did you mean …@gmail.com? Correct the address and try again."
    assert error.user_message == "Did you mean ann@gmail.com? Correct the address and try again."


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
    assert BackendUnavailable(may_have_been_done=True).may_have_been_done is True
    assert BackendUnavailable(may_have_been_done=False).provider_code == 0
    assert BackendRejected("landline", provider_code=60205).provider_code == 60205


def test_a_block_for_fraud_reads_like_any_refusal() -> None:
    words = str(BackendRejected.user_messages["cannot_send"]).lower()
    assert not any(word in words for word in ("fraud", "block", "country", "limit"))


def test_a_refusal_names_the_other_ways_that_a_flow_knows() -> None:
    error = BackendRejected("misconfigured")
    plain = error.user_message
    error.other_channels = (Channel.CALL, Channel.EMAIL)
    assert error.user_message == f"{plain} Possible now: phone call, email." == str(error)


STATUSES = {
    InvalidRecipient: 400,
    ConsentRequired: 403,
    VerificationNotFound: 404,
    FactorNotFound: 404,
    FactorHeld: 403,
    ResetLinkRequired: 403,
    ChannelTooWeak: 403,
    LastFactor: 409,
    NoPendingLogin: 401,
    NotRedeemable: 409,
    VerificationRequired: 401,
    RateLimited: 429,
    BackendUnavailable: 503,
    BackendRejected: 422,
}


@pytest.mark.parametrize("leaf", LEAVES)
def test_an_error_describes_itself_to_programs(leaf: type[TwilioVerifyError]) -> None:
    with time_machine.travel(RETRY_AT - timedelta(seconds=20.2), tick=False):
        error = make(leaf)
        told = error.as_dict()
    assert error.status_code == STATUSES[leaf]
    assert (told["code"], told["detail"]) == (error.code, error.user_message)
    assert told.get("retry_after") == {RateLimited: 21, BackendUnavailable: 30}.get(leaf)
    json.dumps(told)


def test_the_time_to_wait_is_never_none_of_it() -> None:
    with time_machine.travel(RETRY_AT + timedelta(seconds=5), tick=False):
        assert make(RateLimited).retry_after == 1


@override_settings(
    TWILIO_VERIFY_ERROR_MESSAGES={
        "phone_invalid": gettext_lazy("Start the number with +."),
        "email_typo": "Is it %(suggestion)s?",
        "cannot_send": "We can't text 100% of numbers.",
    }
)
def test_the_site_says_it_in_its_own_words() -> None:
    assert InvalidRecipient("phone_invalid").user_message == "Start the number with +."
    assert InvalidRecipient("phone_missing").user_message == "Enter a phone number."
    typo = InvalidRecipient("email_typo", {"suggestion": "ann@example.com"})
    assert (typo.user_message, typo.messages) == ("Is it ann@example.com?", ["Is it ann@example.com?"])
    assert str(typo) == "Is it …@example.com?"
    refused = BackendRejected("cannot_send")
    assert refused.user_message == "We can't text 100% of numbers."
    refused.other_channels = (Channel.CALL,)
    assert refused.user_message.startswith("We can't text 100% of numbers. Possible now:")


@pytest.mark.parametrize("messages", [None, [], {}, {"other": "x"}])
def test_without_words_of_its_own_ours_are_shown(messages: Any) -> None:
    with override_settings(TWILIO_VERIFY_ERROR_MESSAGES=messages):
        assert InvalidRecipient("phone_missing").user_message == "Enter a phone number."
