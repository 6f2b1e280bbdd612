"""What the database itself refuses, whatever the code believes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from django_twilio_verify.models import Disclosure, Factor, LimitCounter, RecoveryCode, Verification
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_factor, make_user

pytestmark = pytest.mark.django_db


def refused(work: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        work()


def make_verification(**values: Any) -> Verification:
    now = timezone.now()
    return Verification.objects.create(
        **{
            "purpose": "verify",
            "recipient_kind": "phone",
            "recipient_value": PHONE,
            "recipient_fingerprint": "s0.x",
            "channel": "sms",
            "created_at": now,
            "expires_at": now + timedelta(minutes=10),
            "resend_at": now,
            **values,
        }
    )


def make_recovery_code(user: Any, selector: str) -> RecoveryCode:
    return RecoveryCode.objects.create(user=user, selector=selector, verifier="x", created_at=timezone.now())


def test_a_person_has_one_default_factor() -> None:
    user = make_user()
    first, second = make_factor(user), make_factor(user, OTHER_PHONE)
    assert (first.is_default, second.is_default) == (True, False)
    refused(lambda: Factor.objects.filter(pk=second.pk).update(default_for=user))
    Factor.objects.filter(pk=first.pk).update(default_for=None)
    Factor.objects.filter(pk=second.pk).update(default_for=user)
    assert list(Factor.objects.confirmed_for(user.pk)) == [second, first]


def test_a_default_factor_is_the_persons_own() -> None:
    factor, stranger = make_factor(make_user("ann")), make_user("eve")
    refused(lambda: Factor.objects.filter(pk=factor.pk).update(default_for=stranger))


def test_two_people_have_a_default_each() -> None:
    ann, bob = make_factor(make_user()), make_factor(make_user("bob"))
    assert ann.is_default
    assert bob.is_default


def test_many_factors_may_be_no_default() -> None:
    user = make_user()
    made = [make_factor(user, address, channel=way) for address, way in ((PHONE, "sms"), (EMAIL, "email"))]
    Factor.objects.update(default_for=None)
    assert list(Factor.objects.confirmed_for(user.pk)) == made


def test_a_person_enrolls_an_address_once_and_two_people_may_share_it() -> None:
    user = make_user()
    make_factor(user)
    refused(lambda: make_factor(user, agreed=False))
    make_factor(make_user("bob"))


def test_one_pending_verification_has_a_place() -> None:
    first = make_verification(pending_key="a" * 64)
    refused(lambda: make_verification(pending_key="a" * 64))
    make_verification(pending_key="b" * 64)
    Verification.objects.filter(pk=first.pk).update(pending_key=None)
    make_verification(pending_key="a" * 64)


def test_any_number_of_finished_verifications_have_none() -> None:
    for _ in range(3):
        make_verification(pending_key=None)
    assert Verification.objects.filter(pending_key=None).count() == 3


def test_a_recovery_code_is_found_by_one_selector() -> None:
    ann, bob = make_user(), make_user("bob")
    make_recovery_code(ann, "abcd")
    refused(lambda: make_recovery_code(ann, "abcd"))
    make_recovery_code(ann, "abce")
    make_recovery_code(bob, "abcd")


def test_a_wording_is_kept_once() -> None:
    event = agree()
    shown = Disclosure.objects.get()
    assert event.disclosure == shown
    refused(lambda: Disclosure.objects.create(digest=shown.digest, record_version=1, first_used_at=timezone.now()))


def test_a_counter_is_kept_once() -> None:
    LimitCounter.objects.create(key="k", since=timezone.now())
    refused(lambda: LimitCounter.objects.create(key="k", since=timezone.now()))


def test_deleting_a_person_takes_the_factors_and_leaves_the_proofs() -> None:
    user = make_user()
    factor = make_factor(user)
    make_recovery_code(user, "abcd")
    verification = make_verification(user=user, factor=factor)
    user.delete()
    assert not Factor.objects.exists()
    assert not RecoveryCode.objects.exists()
    verification.refresh_from_db()
    assert (verification.user_id, verification.factor_id) == (None, None)


@pytest.mark.parametrize("address", [PHONE, EMAIL])
def test_no_record_shows_a_whole_address_by_its_name(address: str) -> None:
    user = make_user()
    way = "email" if "@" in address else "sms"
    event = agree(address, way, user=user)
    kind = "email" if "@" in address else "phone"
    records = [
        make_factor(user, address, channel=way, agreed=False),
        make_verification(user=user, recipient_kind=kind, recipient_value=address),
        event,
        event.evidence,
        event.disclosure,
        make_recovery_code(user, "abcd"),
        LimitCounter(key="k" * 64, since=timezone.now()),
    ]
    for record in records:
        assert address.partition("@")[0] not in f"{record} {record!r}"
