"""Addresses as people type them."""

from __future__ import annotations

import pickle
import re
import traceback
from typing import Any

import phonenumbers
import pytest
from django import forms
from hypothesis import given
from hypothesis import strategies as st
from phonenumber_field.phonenumber import PhoneNumber
from phonenumber_field.phonenumber import to_python as to_field_number

from django_twilio_verify.choices import RecipientKind
from django_twilio_verify.core.recipients import FingerprintKey, Recipient
from django_twilio_verify.exceptions import InvalidRecipient

KEY = FingerprintKey("k1", b"k" * 32)


def refusal(raw: Any, **options: Any) -> InvalidRecipient:
    with pytest.raises(InvalidRecipient) as caught:
        Recipient.parse(raw, **options)
    return caught.value


@pytest.mark.parametrize(
    ("typed", "region", "e164", "country"),
    [
        ("(501) 712-2661", "US", "+15017122661", "US"),
        ("1 501.712.2661", "US", "+15017122661", "US"),
        ("011 44 7400 123456", "US", "+447400123456", "GB"),
        ("416-967-1111", "CA", "+14169671111", "CA"),
        ("07400 123456", "GB", "+447400123456", "GB"),
        ("+44 (0) 7400 123456", None, "+447400123456", "GB"),
        ("0664 1234567", "AT", "+436641234567", "AT"),
        ("0664/1234567", "AT", "+436641234567", "AT"),
        ("0043 664 1234567", "DE", "+436641234567", "AT"),
        ("01512 3456789", "DE", "+4915123456789", "DE"),
        ("06 12 34 56 78", "FR", "+33612345678", "FR"),
        ("312 345 6789", "IT", "+393123456789", "IT"),
        ("06 12345678", "IT", "+390612345678", "IT"),
        ("612 34 56 78", "ES", "+34612345678", "ES"),
        ("8 912 345-67-89", "RU", "+79123456789", "RU"),
        ("090-1234-5678", "JP", "+819012345678", "JP"),
        ("08123456789", "IN", "+918123456789", "IN"),
        ("(11) 96123-4567", "BR", "+5511961234567", "BR"),
        ("011 15-2345-6789", "AR", "+5491123456789", "AR"),
        ("0412 345 678", "AU", "+61412345678", "AU"),
        ("131 2345 6789", "CN", "+8613123456789", "CN"),
        ("+383 43 201 234", None, "+38343201234", "XK"),
        ("+1 242 359 1234", None, "+12423591234", "BS"),
        ("501-712-2661", "us", "+15017122661", "US"),
    ],
)
def test_a_number_is_read_as_its_country_writes_it(typed: str, region: str | None, e164: str, country: str) -> None:
    recipient = Recipient.parse(typed, region=region)
    assert recipient == Recipient(RecipientKind.PHONE, e164)
    assert recipient.country == country


@pytest.mark.parametrize(
    "typed",
    [
        "+15017122661",
        " +1 501 712 2661\n",
        "tel:+1-501-712-2661",
        "TEL: +1 501 712 2661",
        "sms:+15017122661",
        "＋１ ５０１ ７１２ ２６６１",
        "+١٥٠١٧١٢٢٦٦١",
        "+1\u00a0501\u2011712\u20112661",
        "\u202a+1 501 712 2661\u202c",
        "\u2066+15017122661\u2069",
        "\ufeff+15017122661",
        "+1501712\u200b2661",
        "+1 501 712 CODE".replace("CODE", "2661"),
        "++1 501 712 2661",
    ],
)
def test_however_it_is_written_it_is_the_same_recipient(typed: str) -> None:
    assert Recipient.parse(typed) == Recipient.phone("+15017122661")


@pytest.mark.parametrize("region", ["US", "GB", "AT", None])
def test_a_plus_outdoes_the_country(region: str | None) -> None:
    assert Recipient.parse("+436641234567", region=region).country == "AT"


@pytest.mark.parametrize(
    ("typed", "region", "code"),
    [
        ("", None, "phone_missing"),
        (" \t\u200b\n", None, "phone_missing"),
        ("tel:", None, "phone_missing"),
        ("hello", None, "phone_invalid"),
        ("hello", "US", "phone_invalid"),
        ("+", None, "phone_invalid"),
        ("'; DROP TABLE users; --", "US", "phone_invalid"),
        ("\0", None, "phone_invalid"),
        ("+1501\x007122661", None, "phone_invalid"),
        ("\ud800", None, "phone_invalid"),
        ("*100#", "US", "phone_invalid"),
        ("+99999999999", None, "phone_invalid"),
        ("+0015017122661", None, "phone_invalid"),
        ("5017122661", None, "phone_country_missing"),
        ("5017122661", "", "phone_country_missing"),
        ("5017122661", "ZZ", "phone_country_missing"),
        ("5017122661", "Narnia", "phone_country_missing"),
        ("001 501 712 2661", None, "phone_country_missing"),
        ("+1501", None, "phone_too_short"),
        ("+1 712 2661", None, "phone_too_short"),
        ("712-2661", "US", "phone_too_short"),
        ("112", "DE", "phone_too_short"),
        ("+150171226611", None, "phone_too_long"),
        ("+52 1 55 1234 5678", None, "phone_too_long"),
        ("+" + "4" * 39, None, "phone_too_long"),
        ("+" + "1" * 100_000, None, "phone_too_long"),
        ("1" * 100_000, "US", "phone_too_long"),
        ("+1 501 712 2661 ext. 12", None, "phone_extension"),
        ("+1 501 712 2661 x5", None, "phone_extension"),
        ("tel:+15017122661;ext=5", None, "phone_extension"),
        ("+1 900 555 1234", None, "phone_not_allowed"),
        ("+44 909 879 0123", None, "phone_not_allowed"),
        ("+44 843 012 3456", None, "phone_not_allowed"),
        ("@", None, "email_invalid"),
        ("ann@", None, "email_invalid"),
        ("@example.org", None, "email_invalid"),
        ("ann@@example.org", None, "email_invalid"),
        ("ann@example", None, "email_invalid"),
        ("ann@example..org", None, "email_invalid"),
        ("ann@example.org.", None, "email_invalid"),
        ("ann bee@example.org", None, "email_invalid"),
        ("Ann <ann@example.org>", None, "email_invalid"),
        ("ann@example.org, bob@example.org", None, "email_invalid"),
        ("ann@exa\nmple.org", None, "email_invalid"),
        ("ann@example.org\nBcc: bob@example.org", None, "email_invalid"),
        ("a\0nn@example.org", None, "email_invalid"),
        ("ann@\ud800.org", None, "email_invalid"),
        ("müller@example.org", None, "email_invalid"),
        ("ann@" + "a" * 64 + ".org", None, "email_invalid"),
        ("a" * 250 + "@example.org", None, "email_invalid"),
        ("a" * 100_000 + "@example.org", None, "email_invalid"),
    ],
)
def test_what_is_none_is_refused_with_a_code_of_its_own(typed: str, region: str | None, code: str) -> None:
    error = refusal(typed, region=region)
    assert error.code == code
    assert error.user_message == str(InvalidRecipient.user_messages[code])


def test_an_empty_field_names_what_is_missing() -> None:
    for parse, code in ((Recipient.phone, "phone_missing"), (Recipient.email, "email_missing")):
        with pytest.raises(InvalidRecipient) as caught:
            parse("   ")
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("typed", "takes"),
    [
        ("+447400123456", True),
        ("+442079460958", False),
        ("+436641234567", True),
        ("+4315130000", False),
        ("+390612345678", False),
        ("+393123456789", True),
        ("+15017122661", True),  # nobody can tell by the number in North America
        ("+80012345678", True),  # the provider knows better
    ],
)
def test_landlines_are_known_not_to_take_text(typed: str, takes: bool) -> None:
    assert Recipient.phone(typed).can_take_text is takes


def test_an_inbox_takes_no_text_message() -> None:
    assert Recipient.email("ann@example.org").can_take_text is False


@pytest.mark.parametrize(
    ("typed", "country", "calling_code"),
    [
        ("+15017122661", "US", 1),
        ("+15550100123", "US", 1),  # in no known range: the main country of the calling code
        ("+14169671111", "CA", 1),
        ("+18762345678", "JM", 1),
        ("+79123456789", "RU", 7),
        ("+77710009998", "KZ", 7),
        ("+80012345678", "", 800),
        ("+870773111632", "", 870),
        ("ann@example.org", "", None),
    ],
)
def test_country_and_calling_code(typed: str, country: str, calling_code: int | None) -> None:
    recipient = Recipient.parse(typed)
    assert (recipient.country, recipient.calling_code) == (country, calling_code)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  ann@example.org\n", "ann@example.org"),
        ("mailto:ann@example.org", "ann@example.org"),
        ("Ann.Bee+codes@EXAMPLE.Org", "Ann.Bee+codes@example.org"),
        ("ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ", "ann@example.org"),
        ("\u200bann@example.org\u200b", "ann@example.org"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@localhost", "ann@localhost"),
    ],
)
def test_an_email_address_is_normalised(typed: str, value: str) -> None:
    assert Recipient.parse(typed) == Recipient.email(typed) == Recipient(RecipientKind.EMAIL, value)


def test_a_domain_is_never_rewritten_into_another_one() -> None:
    # IDNA 2003 would make this strasse.example, which belongs to somebody else.
    assert Recipient.email("ann@straße.example").value == "ann@straße.example"


def test_the_typist_sees_the_address_as_people_write_it() -> None:
    assert Recipient.phone("+436641234567").display == "+43 664 1234567"
    assert Recipient.email("ann@bücher.example").display == "ann@bücher.example"
    assert Recipient.email("ann@straße.example").display == "ann@straße.example"
    assert Recipient.email("ann@xn--a.example").display == "ann@xn--a.example"
    assert Recipient.email("Ann@example.org").display == "Ann@example.org"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ann@gmial.com", "ann@gmail.com"),
        ("ann@GMIAL.COM", "ann@gmail.com"),
        ("ann@gmail.con", "ann@gmail.com"),
        ("ann@gmial.con", "ann@gmail.com"),
        ("ann@hotmial.com", "ann@hotmail.com"),
        ("ann@yaho.com", "ann@yahoo.com"),
        ("ann@outlok.com", "ann@outlook.com"),
        ("ann@iclod.com", "ann@icloud.com"),
        ("ann@comcast.cmo", "ann@comcast.com"),
        ("100%@gmial.com", "100%@gmail.com"),
        ("a%s%(x)s{0}@gmial.com", None),
        ("a%s@gmial.com", "a%s@gmail.com"),
    ],
)
def test_a_slip_in_a_domain_is_answered_with_what_was_probably_meant(typed: str, meant: str | None) -> None:
    error = refusal(typed)
    if meant is None:
        assert error.code == "email_invalid"
        return
    assert error.code == "email_typo"
    assert error.params == {"suggestion": meant}
    assert error.user_message == f"Did you mean {meant}? Correct the address and try again."
    assert error.messages == [error.user_message]  # what a form shows, per cent signs and all


@pytest.mark.parametrize(
    "typed", ["ann@gmail.com", "ann@mail.gmial.example", "ann@yahoo.co.uk", "ann@example.co", "ann@company.community"]
)
def test_a_domain_that_may_well_be_meant_is_left_alone(typed: str) -> None:
    assert Recipient.parse(typed).value == typed


class AddressForm(forms.Form):
    address = forms.CharField()

    def clean_address(self) -> str:
        return Recipient.parse(self.cleaned_data["address"]).value


@pytest.mark.parametrize(
    ("typed", "code", "shown"),
    [
        ("5017122661", "phone_country_missing", "Choose the country of the number"),
        ("100%@gmial.com", "email_typo", "Did you mean 100%@gmail.com?"),
        ("<b>@gmial.com", "email_invalid", "in the right format"),
        ("a&amp@gmial.com", "email_typo", "Did you mean a&amp;amp@gmail.com?"),
    ],
)
def test_a_form_raises_the_error_as_it_stands(typed: str, code: str, shown: str) -> None:
    form = AddressForm({"address": typed})
    assert not form.is_valid()
    assert form.has_error("address", code)
    assert shown in str(form["address"].errors)
    assert form.errors.get_json_data()["address"][0]["code"] == code


@pytest.mark.parametrize("typed", ["+1501712266100", "ann@@example.org", "ann@gmial.com", "+1 501 712 2661 x5"])
def test_neither_text_nor_traceback_of_the_error_holds_the_address(typed: str) -> None:
    error = refusal(typed)
    told = "".join(traceback.format_exception_only(error)) + str(error) + repr(error)
    assert typed not in told
    assert "ann@" not in told
    assert "1501712" not in re.sub(r"\D", "", told.replace("+1 202 555 0143", ""))
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_the_error_survives_a_queue() -> None:
    error = refusal("ann@gmial.com")
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert (type(copied), copied.code, copied.params, copied.user_message, copied.messages) == (
        InvalidRecipient,
        error.code,
        error.params,
        error.user_message,
        error.messages,
    )


# ------------------------------------------------------------------------------- django-phonenumber-field


def test_a_value_of_a_phone_number_column_is_taken_as_it_is() -> None:
    number = PhoneNumber.from_string("0664 1234567", region="AT")
    assert Recipient.parse(number) == Recipient.phone("+436641234567")


def test_a_number_outside_of_the_known_ranges_is_for_the_provider_to_judge() -> None:
    number = PhoneNumber.from_string("555-010-0123", region="US")
    assert not number.is_valid()
    assert Recipient.parse(number).value == "+15550100123"


def test_a_number_made_of_its_parts_needs_no_text() -> None:
    assert Recipient.parse(PhoneNumber(country_code=43, national_number=6641234567)).value == "+436641234567"
    assert Recipient.parse(phonenumbers.parse("06 12345678", "IT")).value == "+390612345678"


def test_an_extension_in_a_column_is_not_dropped_in_silence() -> None:
    assert refusal(PhoneNumber.from_string("+15017122661 x5")).code == "phone_extension"


def test_a_column_that_holds_nonsense_is_refused() -> None:
    assert refusal(to_field_number("hello")).code == "phone_invalid"
    assert refusal(PhoneNumber()).code == "phone_missing"


def test_display_settings_of_the_site_do_not_matter(settings: Any) -> None:
    settings.PHONENUMBER_DEFAULT_FORMAT = "NATIONAL"
    assert Recipient.parse(PhoneNumber.from_string("+436641234567")).value == "+436641234567"


# ----------------------------------------------------------------------------------- what may be shown


@pytest.mark.parametrize("typed", ["+15017122661", "+436641234567", "+80012345678", "+4315130"])
def test_a_masked_number_shows_two_digits(typed: str) -> None:
    recipient = Recipient.phone(typed)
    for shown in (recipient.masked, str(recipient), repr(recipient), f"{recipient}", "%s" % recipient):  # noqa: UP031
        assert re.sub(r"\D", "", shown) == typed[-2:]


@pytest.mark.parametrize("typed", ["ann@example.org", "a@example.org", "anna.maria+codes@example.org"])
def test_a_masked_inbox_shows_one_letter_and_the_domain(typed: str) -> None:
    recipient = Recipient.email(typed)
    assert recipient.masked == str(recipient) == "a•••@example.org"
    assert typed not in repr(recipient)
    assert recipient.masked in repr(recipient)


def test_a_recipient_cannot_be_changed() -> None:
    recipient = Recipient.phone("+15017122661")
    with pytest.raises(AttributeError):
        recipient.value = "+15017122662"  # type: ignore[misc]


def test_recipients_can_be_keys() -> None:
    assert len({Recipient.phone("+15017122661"), Recipient.parse("tel:+1 501 712 2661")}) == 1
    assert Recipient.phone("+15017122661") != Recipient.phone("+15017122662")
    assert Recipient(RecipientKind.EMAIL, "x") != Recipient(RecipientKind.PHONE, "x")


def test_a_recipient_passes_through() -> None:
    recipient = Recipient.phone("+15017122661")
    assert Recipient.parse(recipient) is recipient


# ---------------------------------------------------------------------------------------- fingerprints


def test_a_fingerprint_has_a_stable_form() -> None:
    # Written out: rows of sites are found by these very characters.
    assert Recipient.phone("+15017122661").fingerprint(KEY) == "k1.20ea91379c22cc8f434b4ee4801367a0e3a60c8e"


def test_fingerprints_differ_by_key() -> None:
    other = FingerprintKey("k1", b"l" * 32)
    recipient = Recipient.phone("+15017122661")
    assert recipient.fingerprint(KEY) != recipient.fingerprint(other)


def test_fingerprints_of_different_kinds_never_meet() -> None:
    same = "x@y"
    prints = {KEY.fingerprint(domain, same) for domain in ("recipient:phone", "recipient:email", "person:user")}
    assert len(prints) == 3
    phone, email = Recipient(RecipientKind.PHONE, same), Recipient(RecipientKind.EMAIL, same)
    assert phone.fingerprint(KEY) != email.fingerprint(KEY)


def test_the_border_between_domain_and_value_cannot_be_moved() -> None:
    assert KEY.fingerprint("a", "b\0c") != KEY.fingerprint("a\0", "bc")


def test_a_capital_does_not_escape_an_opt_out() -> None:
    assert Recipient.email("Ann@example.org").fingerprint(KEY) == Recipient.email("ann@EXAMPLE.org").fingerprint(KEY)


def test_a_fingerprint_says_nothing_of_the_address() -> None:
    assert "5017122661" not in Recipient.phone("+15017122661").fingerprint(KEY)
    assert KEY.secret.decode() not in repr(KEY)


# ------------------------------------------------------------------------------------- whatever is typed


def outcome(typed: str, region: str | None) -> Recipient | InvalidRecipient:
    try:
        return Recipient.parse(typed, region=region)
    except InvalidRecipient as error:
        return error


REGIONS = st.sampled_from(["US", "GB", "AT", "IT", "AR", "ZZ", "", None])
ALMOST = st.text(st.sampled_from("+0123456789 -()./#*x;,=@%{}\0\n\u200b\u202a０１abcgmil.comßüİ\ud800"), max_size=80)


@given(st.one_of(st.text(max_size=120), ALMOST), REGIONS)
def test_whatever_is_typed_is_a_recipient_or_a_sentence(typed: str, region: str | None) -> None:
    recipient = outcome(typed, region)
    if isinstance(recipient, InvalidRecipient):
        assert recipient.code in InvalidRecipient.user_messages
        assert recipient.messages == [recipient.user_message]
        assert str(recipient)
        return
    assert Recipient.parse(recipient.value) == recipient
    assert len(recipient.value) <= 254
    assert recipient.fingerprint(KEY).startswith("k1.")
    assert recipient.display
    assert recipient.country == "" or len(recipient.country) == 2
    assert recipient.value not in (recipient.masked, repr(recipient), str(recipient))


@given(st.integers(10**6, 10**13), st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_any_digits_with_any_country_are_a_number_or_a_sentence(digits: int, region: str) -> None:
    recipient = outcome(str(digits), region)
    if isinstance(recipient, InvalidRecipient):
        assert recipient.code in InvalidRecipient.user_messages
        return
    assert re.fullmatch(r"\+[1-9]\d{3,16}", recipient.value)
    assert Recipient.parse(recipient.value) == recipient


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_countrys_own_example_is_read_in_both_formats(country: str) -> None:
    number = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    number = number or phonenumbers.example_number(country)
    formats = phonenumbers.PhoneNumberFormat
    wanted = phonenumbers.format_number(number, formats.E164)
    for form in (formats.NATIONAL, formats.INTERNATIONAL, formats.E164, formats.RFC3966):
        typed = phonenumbers.format_number(number, form)
        recipient = Recipient.parse(typed, region=country)
        assert recipient.value == wanted
    assert recipient.calling_code == phonenumbers.country_code_for_region(country)
    assert len(recipient.country) == 2
