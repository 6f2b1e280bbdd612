"""An email factor that is the account's own address: password reset and second factor are one mailbox."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.support.basics import EMAIL, PHONE, code_path, last_code, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db
WARNING = "one mailbox would open your account"


def passed(user: Any) -> Client:
    client = Client()
    sign_in(client, user.username)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    return client


@pytest.mark.parametrize(
    ("channel", "address", "warned"), [("email", EMAIL, True), ("email", "", False), ("sms", EMAIL, False)]
)
def test_the_page_that_enrolls_warns(channel: str, address: str, warned: bool) -> None:
    client = Client()
    client.force_login(make_user(email=address))
    assert (WARNING in client.get(f"/verify/enroll/{channel}/").content.decode()) is warned


@pytest.mark.parametrize(("address", "marked"), [(EMAIL.upper(), True), ("else@example.org", False), ("", False)])
def test_the_list_marks_it(address: str, marked: bool) -> None:
    ann = make_user(email=address)
    make_factor(ann, PHONE)
    make_factor(ann, EMAIL, channel="email")
    assert passed(ann).get("/verify/").content.decode().count(WARNING) == int(marked)


def test_the_admin_finds_them() -> None:
    ann, ben = make_user(email=EMAIL.upper()), make_user("ben", email="ben@example.org")
    for user in (ann, ben):
        make_factor(user, EMAIL, channel="email")
    client = Client()
    client.force_login(make_user("sue", is_staff=True, is_superuser=True))
    found = client.get("/admin/twilio_verify/factor/?one_mailbox=1").context["cl"].queryset
    assert [one.user for one in found] == [ann]
    everybody = client.get("/admin/twilio_verify/factor/")
    assert everybody.context["cl"].queryset.count() == 2 and "icon-yes" in everybody.content.decode()
