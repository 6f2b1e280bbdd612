"""The table of countries."""

from __future__ import annotations

import phonenumbers
import pytest
from django.utils.functional import Promise

from django_twilio_verify.core import countries
from django_twilio_verify.core.recipients import Recipient


def test_every_country_that_has_numbers_is_in_the_table_and_no_other() -> None:
    assert set(countries.NAMES) == set(phonenumbers.SUPPORTED_REGIONS)


def test_names_are_unique_and_translated_late() -> None:
    assert len({str(name) for name in countries.NAMES.values()}) == len(countries.NAMES)
    assert all(isinstance(name, Promise) for name in countries.NAMES.values())


@pytest.mark.parametrize(
    ("code", "calling"), [("AT", 43), ("US", 1), ("CA", 1), ("KZ", 7), ("GB", 44), ("XK", 383), ("ZZ", 0), ("", 0)]
)
def test_calling_codes(code: str, calling: int) -> None:
    assert countries.calling_code(code) == calling


def test_every_country_has_a_calling_code() -> None:
    assert all(countries.calling_code(code) > 0 for code in countries.NAMES)


def test_choices_are_sorted_by_name_and_show_the_calling_code() -> None:
    offered = countries.choices()
    assert len(offered) == len(countries.NAMES)
    names = [label for _, label in offered]
    assert names[:2] == ["Afghanistan (+93)", "Åland Islands (+358)"]
    assert names[-1] == "Zimbabwe (+263)"
    assert dict(offered)["AT"] == "Austria (+43)"


def test_choices_can_be_few() -> None:
    assert countries.choices(("US", "AT")) == [("AT", "Austria (+43)"), ("US", "United States (+1)")]
    assert countries.choices(("ZZ",)) == [("ZZ", "ZZ (+0)")]


@pytest.mark.parametrize("code", sorted(countries.NAMES))
def test_a_number_chosen_by_country_is_of_that_calling_code(code: str) -> None:
    example = phonenumbers.example_number(code)
    typed = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    number = Recipient.parse(typed, region=code)
    assert number.calling_code == countries.calling_code(code)
    assert number.country in countries.NAMES
