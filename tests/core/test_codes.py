"""Codes as people type and paste them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_twilio_verify.core.codes import MAX_LENGTH, MIN_LENGTH, CodeProblem, TypedCode


@pytest.mark.parametrize(
    "typed",
    [
        "012345",
        " 012345\n",
        "012 345",
        "012-345",
        "0 1 2 3 4 5",
        "012.345",
        "012\u00a0345",
        "012\u2009345",
        "012\u2011345",
        "012–345",
        "012—345",
        "012\u2212345",
        "012－345",
        "012\u00ad345",
        "\u202a012345\u202c",
        "\u2066012345\u2069",
        "\u200b012\u200d345\ufeff",
        "０１２３４５",
        "０１２－３４５",
        "٠١٢٣٤٥",
        "۰۱۲۳۴۵",
        "०१२३४५",
        "0１٢३45",
        "𝟎𝟏𝟐𝟑𝟒𝟓",
        "⁰¹²³⁴⁵",
        "G-012345",
        "g012345",
        "G - 012 345",
        "Ｇ－０１２３４５",
    ],
)
def test_a_code_is_read_however_it_is_written(typed: str) -> None:
    assert TypedCode.parse(typed, length=6) == TypedCode("012345")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", CodeProblem.MISSING),
        (" \t\n- . \u200b", CodeProblem.MISSING),
        ("hello", CodeProblem.NOT_DIGITS),
        ("12345a", CodeProblem.NOT_DIGITS),
        ("G-", CodeProblem.NOT_DIGITS),
        ("GG123456", CodeProblem.NOT_DIGITS),
        ("your code is 123456", CodeProblem.NOT_DIGITS),
        ("O12345", CodeProblem.NOT_DIGITS),
        ("+12345", CodeProblem.NOT_DIGITS),
        ("1234½", CodeProblem.NOT_DIGITS),
        ("一二三四五六", CodeProblem.NOT_DIGITS),
        ("123456\0", CodeProblem.NOT_DIGITS),
        ("12345\ud800", CodeProblem.NOT_DIGITS),
        ("' OR 1=1", CodeProblem.NOT_DIGITS),
        ("123", CodeProblem.TOO_SHORT),
        ("12345", CodeProblem.TOO_SHORT),
        ("1234567", CodeProblem.TOO_LONG),
        ("1" * 40, CodeProblem.TOO_LONG),
        ("1" * 100_000, CodeProblem.TOO_LONG),
        ("a" * 100_000, CodeProblem.NOT_DIGITS),
    ],
)
def test_what_is_no_code_is_told_why(typed: str, problem: CodeProblem) -> None:
    assert TypedCode.parse(typed, length=6) == TypedCode("", problem)


@pytest.mark.parametrize("length", range(MIN_LENGTH, MAX_LENGTH + 1))
def test_codes_have_the_length_that_the_service_gives_them(length: int) -> None:
    assert TypedCode.parse("0" * length, length=length).digits == "0" * length
    assert TypedCode.parse("0" * (length - 1), length=length).problem is CodeProblem.TOO_SHORT
    assert TypedCode.parse("0" * (length + 1), length=length).problem is CodeProblem.TOO_LONG


def test_a_code_is_not_shown_in_a_traceback() -> None:
    typed = TypedCode.parse("123456", length=6)
    assert "123456" not in repr(typed) + str(typed)


@given(st.text(max_size=300), st.integers(MIN_LENGTH, MAX_LENGTH))
def test_whatever_is_typed_gives_digits_or_a_problem(typed: str, length: int) -> None:
    read = TypedCode.parse(typed, length=length)
    if read.problem is None:
        assert len(read.digits) == length
        assert read.digits.isascii()
        assert read.digits.isdigit()
        assert TypedCode.parse(read.digits, length=length) == read
    else:
        assert read.digits == ""


@given(st.text("0123456789", min_size=6, max_size=6), st.lists(st.sampled_from(" -.\u00a0\u2011\u202a"), max_size=7))
def test_noise_between_the_digits_changes_nothing(code: str, noise: list[str]) -> None:
    typed = "".join(mark + digit for mark, digit in zip([*noise, *[""] * 6], code, strict=False))
    assert TypedCode.parse(typed, length=6).digits == code


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("4711", "4711"),
        ("ab47Xy", "AB47XY"),
        (" ab-47.Xy ", "AB47XY"),
        ("G123", "G123"),
        ("\uff14\uff17\uff11\uff11", "4711"),
        ("a" * 10, "A" * 10),
    ],
)
def test_a_code_of_the_sites_own_is_read_in_capitals(typed: str, read: str) -> None:
    assert TypedCode.parse_custom(typed) == TypedCode(read)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", CodeProblem.MISSING),
        (" - ", CodeProblem.MISSING),
        ("123", CodeProblem.NOT_LIKE_OURS),
        ("a" * 11, CodeProblem.NOT_LIKE_OURS),
        ("a" * 5000, CodeProblem.NOT_LIKE_OURS),
        ("caf\u00e9", CodeProblem.NOT_LIKE_OURS),
        ("\u0664\u0662\u0664\u0662", CodeProblem.NOT_LIKE_OURS),
        ("ab_47", CodeProblem.NOT_LIKE_OURS),
        ("1234\0", CodeProblem.NOT_LIKE_OURS),
    ],
)
def test_what_is_no_code_of_the_sites_own(typed: str, problem: CodeProblem) -> None:
    assert TypedCode.parse_custom(typed) == TypedCode("", problem)
