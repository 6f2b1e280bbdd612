"""Pages, the example and contrib use public names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.public import FORMER, PACKAGE, parsed, private_names
from tests.docs.test_docs import DOCS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
HISTORY = DOCS / "contributing" / "moved-names.md"
"""A table of old names."""

INCLUDED = re.compile(r"\{literalinclude\} (\S+\.py)")
FILES = [
    *sorted({(page.parent / file).resolve() for page in PAGES for file in INCLUDED.findall(page.read_text("utf-8"))}),
    *sorted((ROOT / "example_project").rglob("*.py")),
    *(file for file in sorted(DOCS.rglob("*.py")) if "_ext" not in file.parts),
]
FILES = [*dict.fromkeys(FILES)]
CONTRIB = sorted((ROOT / PACKAGE / "contrib").rglob("*.py"))

PRIVATE = {
    "backends.twins": "runs steps that are neither sync nor async",
    "conf": "the site's settings, read as the app reads them",
    "consent.gate": "consent that is recorded with the send, in one transaction",
    "core.codes": "the length of an authenticator app's code, for a form of django-otp's",
    "core.receivers": "sends signals of the app",
    "factors.devices": "django-otp deletes devices without asking what the policy demands",
    "factors.own_factors": "django-otp's devices are factors; enrolling without a second redeem",
    "factors.phones": "allauth asks whose a number is",
    "factors.reset_holds": "a token is refused after a reset, as a session is",
    "factors.resets": "tokens end with a reset, before it is announced",
    "ledger.persons": "finds what was started in this session",
    "login.completion": "another app has judged the second factor and completes the login itself",
    "login.enforcement": "goes round by a step-up and comes back to another app's page",
    "login.failures": "sends user_login_failed where another app's view judged the answer",
    "login.missing": "the JSON of what is missing, in REST framework's own exceptions",
    "login.own_session": "pages of another app that change factors refuse impersonation",
    "login.policy": "decides for a token, which has no session, whether a factor is owed",
    "login.second_factor": "completes a login that lives in a token and not in the session",
    "login.session": "where another app's login stands in the session",
    "login.session_cutoffs": "tokens end when sessions end",
    "login.step_up": "asks for a step-up inside a view of another app",
    "management.base": "the base of the app's commands",
    "models.primary": "reads that decide something go to the primary database",
    "verifications.assurance": "which devices of django-otp are strong enough",
    "verifications.challenges": "django-otp challenges a device, of which it knows no option",
    "verifications.claimants": "allauth sends codes to visitors of whom it knows only the number",
    "verifications.lifecycle": "sends for a purpose that another app's view decides",
    "verifications.routing": "which backend a visitor's code goes by",
    "views": "pages of the app, of which axes counts failures, and an error that they show",
}
"""Private modules that contrib needs, and for what. Nothing outside of this package may import them."""


def label(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", [one for one in PAGES if one != HISTORY], ids=label)
def test_a_page_uses_public_names(file: Path) -> None:
    assert [*private_names(parsed(file), page=True)] == []


@pytest.mark.parametrize("file", [one for one in PAGES if one not in (HISTORY, ROOT / "CHANGELOG.md")], ids=label)
def test_the_text_of_a_page_names_no_function_of_a_private_module(file: Path) -> None:
    found = re.findall(rf"`((?:{'|'.join(FORMER)})\.(?!html)[a-z]\w+)", file.read_text(encoding="utf-8"))
    assert found == []


@pytest.mark.parametrize("file", FILES, ids=label)
def test_the_example_and_the_files_of_pages_use_public_names(file: Path) -> None:
    assert [*private_names([ast.parse(file.read_text(encoding="utf-8"))])] == []


@pytest.mark.parametrize("file", CONTRIB, ids=label)
def test_contrib_uses_public_names_and_the_private_modules_it_needs(file: Path) -> None:
    assert [name for name in contrib_names(file) if allowed(name) is None] == []


def test_contrib_needs_each_private_module_that_it_may_use() -> None:
    assert {allowed(name) for file in CONTRIB for name in contrib_names(file)} == {*PRIVATE}


def contrib_names(file: Path) -> list[str]:
    package = ".".join(file.relative_to(ROOT).parent.parts)
    return [*private_names([ast.parse(file.read_text(encoding="utf-8"))], package=package)]


def allowed(name: str) -> str | None:
    """The entry of the list that allows ``name``."""
    return next((one for one in PRIVATE if name == one or name.startswith(f"{one}.")), None)
