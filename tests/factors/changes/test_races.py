"""Two tabs at the same instant."""

from __future__ import annotations

import pytest
from django.core import mail
from django.test import Client

from django_twilio_verify.models import Factor, RecoveryCode
from tests.support.basics import EMAIL, OTHER_PHONE, last_code, make_factor, race
from tests.support.changes import path, replace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


def tabs(browser: Client, count: int) -> list[Client]:
    found = []
    for _ in range(count):
        tab = Client()
        tab.cookies.update(browser.cookies)
        found.append(tab)
    return found


def statuses(results: list) -> list[int]:
    broken = [result for result in results if isinstance(result, BaseException)]
    assert not broken, broken[0]
    return sorted(result.status_code for result in results)


@pytest.mark.parametrize("attempt", range(5))
def test_of_the_last_two_one_stays(browser, phone, inbox, settings, attempt):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    two, pages = tabs(browser, 2), [path(phone, "remove"), path(inbox, "remove")]
    results = race(2, lambda index: two[index].post(pages[index]))
    # The second to come is refused; or, where all of the first was done before it began, is led to a fresh step-up.
    assert statuses(results) in ([200, 302], [302, 302])
    assert Factor.objects.filter(user=phone.user).count() == 1
    assert Factor.objects.get().is_default


def test_of_four_one_stays(browser, phone, inbox, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    held = [phone, inbox, make_factor(phone.user, OTHER_PHONE), make_factor(phone.user, "+15017122669")]
    four = tabs(browser, 4)
    results = race(4, lambda index: four[index].post(path(held[index], "remove")))
    # Those that begin after all of the first one was done are led to a fresh step-up, and remove nothing.
    assert statuses(results) in ([200, 302, 302, 302], [302] * 4)
    left = Factor.objects.filter(user=phone.user).count()
    assert left == 1 if 200 in statuses(results) else 1 <= left < 4


def test_one_is_removed_once(browser, phone, inbox):
    eight = tabs(browser, 8)
    results = race(8, lambda index: eight[index].post(path(inbox, "remove")))
    # Who found it and came second is led on as the first one; who came later finds nothing.
    assert set(statuses(results)) <= {302, 404} and 302 in statuses(results)
    assert Factor.objects.get() == phone
    assert len(mail.outbox) == 2, "to the account and to the removed address, once"


def test_there_is_one_default_whatever_is_pressed(browser, phone, inbox):
    held = [phone, inbox, make_factor(phone.user, OTHER_PHONE)]
    six = tabs(browser, 6)
    results = race(6, lambda index: six[index].post(path(held[index % 3], "default")))
    assert set(statuses(results)) == {302}
    assert Factor.objects.filter(default_for=phone.user).count() == 1
    assert Factor.objects.filter(chosen_at__isnull=False).count() == 1


def test_replacing_while_the_old_one_is_removed(browser, phone, inbox, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    page, code = replace(browser, phone), last_code()
    two = tabs(browser, 2)
    work = (lambda: two[0].post(page, {"code": code}), lambda: two[1].post(path(phone, "remove")))
    results = race(2, lambda index: work[index]())
    # The removal comes first, or finds nothing, or is the same session's, which the other has just changed.
    assert set(statuses(results)) <= {302, 404, 400}
    # Where all of the removal came first, the session has proved nothing that is still there, and adds nothing.
    assert set(Factor.objects.values_list("recipient_value", flat=True)) in ({OTHER_PHONE, EMAIL}, {EMAIL})
    assert Factor.objects.filter(default_for=phone.user).count() == 1
    assert not RecoveryCode.objects.exists()
