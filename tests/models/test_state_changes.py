"""Changes of state: each is one method of a queryset, allowed from the states that it says. Nobody goes around it.

The tables name every status and every method: a new one without its place here fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model, QuerySet
from django.utils import timezone

import django_twilio_verify
from django_twilio_verify.choices import VerificationStatus
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.models.factor import FactorQuerySet
from django_twilio_verify.models.primary import FingerprintedQuerySet
from django_twilio_verify.models.verification import VerificationQuerySet
from tests.support.basics import PHONE, make_user

PACKAGE = Path(django_twilio_verify.__file__).parent
NOW = timezone.now().replace(microsecond=0)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=10)
AGO, LONG_AGO = NOW - timedelta(minutes=1), NOW - timedelta(minutes=10)
ANN, APP = 4711, 4712
"""The ids of a user and of their factor, which are there in each test."""
FILTERS = {"open_at", "usable", "confirmed_for"}


@dataclass
class Change:
    """``allowed``: one word for each state. ``clears``: columns that are empty afterwards; ``writes``: what others
    are, or a function of what they were. All the rest stays.
    """

    call: Callable[[Any, Any], int]
    allowed: str
    clears: str = ""
    writes: dict[str, Any] = field(default_factory=dict)

    def after(self, before: dict[str, Any], model: type[Model]) -> dict[str, Any]:
        fields = {column.attname: column for column in model._meta.concrete_fields}
        empty = {name: None if fields[name].null else "" for name in self.clears.split()}
        written = {name: new(before[name]) if callable(new) else new for name, new in self.writes.items()}
        return before | empty | written


def methods_of(rows: type[QuerySet[Any]]) -> set[str]:
    own = {**vars(FingerprintedQuerySet), **vars(rows)}
    return {name for name, value in own.items() if callable(value) and not name.startswith("_")} - FILTERS


def check(rows: Any, change: Change, is_allowed: bool) -> None:
    before = rows.values().get()
    assert change.call(rows, rows.get()) == (1 if is_allowed else 0)
    assert rows.values().get() == (change.after(before, rows.model) if is_allowed else before)


@pytest.fixture(autouse=True)
def _there(request: pytest.FixtureRequest) -> None:
    if "django_db" in request.keywords:
        make_user(pk=ANN)
        Factor.objects.create(pk=APP, user_id=ANN, kind="totp", channel="totp", key="app", created_at=AGO)


# ---- verifications

STATUSES = "pending approved denied canceled expired max_attempts_reached failed"
OVER = "link code_digest browser_options match_number checking_until"
ENDED = f"{OVER} pending_key"
ANY, PENDING = "yes yes yes yes yes yes yes", "yes no no no no no no"


def plus(number: int) -> Callable[[int], int]:
    return lambda before: before + number


def status(name: str) -> dict[str, Any]:
    return {"status": name}


def closed(name: str, clears: str = ENDED) -> Change:
    return Change(lambda rows, _: rows.close(VerificationStatus(name)), PENDING, clears, status(name))


SENT_BY_CALL: dict[str, Any] = {
    "channel": "call",
    "withheld": True,
    "code_digest": "new",
    "has_custom_code": True,
}

VERIFICATIONS = {
    # After a colon: another way to call the same method. The statuses in the order of STATUSES.
    "approve": Change(lambda rows, _: rows.approve(NOW), PENDING, ENDED, {"status": "approved", "approved_at": NOW}),
    "close": closed("canceled"),
    "close:denied": closed("denied"),
    "close:expired": closed("expired"),
    "close:failed": closed("failed"),
    "close:max_attempts_reached": closed("max_attempts_reached", OVER),
    "deny": Change(lambda rows, _: rows.deny(), "yes no no yes yes no no", ENDED, status("denied")),
    "leave_place": Change(lambda rows, _: rows.leave_place(), "no yes yes yes yes yes yes", ENDED),
    "redeem": Change(lambda rows, _: rows.redeem(NOW), "no yes no no no no no", "", {"redeemed_at": NOW}),
    "attach": Change(lambda rows, _: rows.attach(ANN, LONG_AGO), "no yes no no no no no", "", {"user_id": ANN}),
    "erase": Change(lambda rows, _: rows.erase(NOW), "no yes yes yes yes yes yes", "recipient_value payee"),
    "count_send": Change(
        lambda rows, read: rows.count_send(read, NOW, resend_at=SOON, **SENT_BY_CALL),
        PENDING,
        "link",
        {"sends": plus(1), "resend_at": SOON, **SENT_BY_CALL},
    ),
    "uncount_send": Change(
        lambda rows, _: rows.uncount_send(resend_at=SOON, channel="call", link="before"),
        PENDING,
        "",
        {"sends": plus(-1), "resend_at": SOON, "channel": "call", "link": "before"},
    ),
    "restore_code": Change(
        lambda rows, _: rows.restore_code("digest", code_digest="before", has_custom_code=True),
        PENDING,
        "",
        {"code_digest": "before", "has_custom_code": True},
    ),
    "record_sent": Change(
        lambda rows, _: rows.record_sent(sid="VE1", channel="sna", link="new", line_type="mobile"),
        PENDING,
        "",
        {"sid": "VE1", "channel": "sna", "link": "new", "line_type": "mobile"},
    ),
    "record_challenge": Change(
        lambda rows, _: rows.record_challenge(sid="YC1", browser_options="{}"),
        PENDING,
        "",
        {"sid": "YC1", "browser_options": "{}"},
    ),
    "record_sid": Change(lambda rows, _: rows.record_sid("VE1"), ANY, "", {"sid": "VE1"}),
    "record_lost_sid": Change(lambda rows, _: rows.record_lost_sid("VE1"), ANY, "", {"sid": "VE1"}),
    "record_line_type": Change(lambda rows, _: rows.record_line_type("voip"), ANY, "", {"line_type": "voip"}),
    "withhold": Change(lambda rows, _: rows.withhold(), ANY, "", {"withheld": True}),
    "count_check": Change(
        lambda rows, read: rows.count_check(read, "checks", NOW, timedelta(minutes=1)),
        PENDING,
        "",
        {"checks": plus(1), "checking_until": SOON},
    ),
    "count_check:link": Change(
        lambda rows, read: rows.count_check(read, "link_checks", NOW, timedelta(minutes=1)),
        PENDING,
        "",
        {"link_checks": plus(1), "checking_until": SOON},
    ),
    "release_check": Change(lambda rows, _: rows.release_check(), ANY, "checking_until"),
    "release_check:uncounted": Change(
        lambda rows, _: rows.release_check(uncounted="checks"), ANY, "checking_until", {"checks": plus(-1)}
    ),
    "end_link": Change(
        lambda rows, read: rows.end_link(read.link, NOW), PENDING, "link checking_until", {"resend_at": NOW}
    ),
    "match": Change(lambda rows, _: rows.match("42", NOW), PENDING, "poll_after", {"matched_at": NOW}),
    "claim_poll": Change(lambda rows, read: rows.claim_poll(read, LATER), ANY, "", {"poll_after": LATER}),
    "hurry": Change(lambda rows, _: rows.hurry(), PENDING, "poll_after"),
    "record_factor": Change(
        lambda rows, _: rows.record_factor(Factor(pk=APP), ANN), ANY, "", {"factor_id": APP, "user_id": ANN}
    ),
    "record_enrollment": Change(
        lambda rows, _: rows.record_enrollment(Factor(pk=APP), "YF1"), ANY, "", {"factor_id": APP, "sid": "YF1"}
    ),
    "rewrite_fingerprints": Change(
        lambda rows, _: rows.rewrite_fingerprints({"old": "new"}), ANY, "", {"recipient_fingerprint": "new"}
    ),
}


def make_verification(status: str, **values: Any) -> VerificationQuerySet:
    """The rows with one alone, which keeps all that any state may keep."""
    made = Verification.objects.create(
        **{
            "purpose": "verify",
            "recipient_kind": "phone",
            "recipient_value": PHONE,
            "recipient_fingerprint": "old",
            "channel": "sms",
            "status": status,
            "pending_key": "place",
            "sends": 2,
            "checks": 1,
            "link_checks": 1,
            "created_at": AGO,
            "expires_at": LATER,
            "resend_at": AGO,
            "approved_at": NOW,
            "payee": "payee",
            "link": "link",
            "code_digest": "digest",
            "browser_options": "options",
            "match_number": "42",
            "poll_after": SOON,
            "checking_until": AGO,
        }
        | values
    )
    return Verification.objects.filter(pk=made.pk)


def test_the_table_has_every_status_and_every_method_of_verifications() -> None:
    assert STATUSES.split() == VerificationStatus.values
    assert {name.split(":")[0] for name in VERIFICATIONS} == methods_of(VerificationQuerySet)
    for change in VERIFICATIONS.values():
        assert len(change.allowed.split()) == len(VerificationStatus) and set(change.allowed.split()) <= {"yes", "no"}
    ends = set(VerificationStatus.values) - {"pending", "approved"}
    assert {VERIFICATIONS[name].writes["status"] for name in VERIFICATIONS if name.startswith("close")} == ends


@pytest.mark.django_db
@pytest.mark.parametrize("name", VERIFICATIONS)
def test_a_verification_changes_from_these_states_alone(name: str) -> None:
    change = VERIFICATIONS[name]
    for status, word in zip(VerificationStatus.values, change.allowed.split(), strict=True):
        rows = make_verification(status)
        check(rows, change, word == "yes")
        rows.delete()


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["pending", "approved"])
def test_nothing_is_closed_as_what_is_no_end(status: str) -> None:
    with pytest.raises(ValueError, match="no end"):
        make_verification("pending").close(VerificationStatus(status))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("redeem", {"status": "approved", "redeemed_at": AGO}),
        ("attach", {"status": "approved", "purpose": "enroll"}),
        ("attach", {"status": "approved", "approved_at": LONG_AGO}),
        ("attach", {"status": "approved", "user_id": ANN}),
        ("attach", {"status": "approved", "recipient_value": ""}),
        ("erase", {"status": "expired", "recipient_value": ""}),
        ("count_send", {"expires_at": AGO}),
        ("count_check", {"expires_at": AGO}),
        ("count_check", {"checking_until": SOON}),
        ("match", {"expires_at": AGO}),
        ("match", {"match_number": "43"}),
        ("record_lost_sid", {"sid": "VE2"}),
        ("restore_code", {"code_digest": "newer"}),
        ("withhold", {"withheld": True}),
        ("rewrite_fingerprints", {"recipient_fingerprint": "other"}),
    ],
)
def test_a_verification_does_not_change_unless_the_rest_holds_too(name: str, values: dict[str, Any]) -> None:
    check(make_verification(**{"status": "pending"} | values), VERIFICATIONS[name], is_allowed=False)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("count_send", {"sends": 3}),
        ("count_send", {"resend_at": SOON}),
        ("count_check", {"checks": 2}),
        ("count_check:link", {"link_checks": 2}),
        ("end_link", {"link": "another"}),
        ("claim_poll", {"poll_after": LATER}),
    ],
)
def test_a_verification_does_not_change_once_it_is_not_as_it_was_read(name: str, values: dict[str, Any]) -> None:
    rows = make_verification("pending")
    read = rows.get()
    QuerySet.update(rows, **values)
    before = rows.values().get()
    assert VERIFICATIONS[name].call(rows, read) == 0 and rows.values().get() == before


# ---- factors

STATES = {
    "begun": {"confirmed_at": None},
    "confirmed": {},
    "default": {"default_for_id": ANN, "chosen_at": AGO},
    "held": {"failures": 50, "held_at": AGO},
    "lost": {"lost_at": AGO},
    "passkey": {"kind": "passkey", "channel": "passkey", "recipient_value": ""},
}
EVERY = "yes yes yes yes yes yes"
WORKED: dict[str, Any] = {"last_used_at": NOW, "failures": 0, "failures_told": 0}


FACTORS = {
    # The states in the order of STATES.
    "confirm": Change(lambda rows, _: rows.confirm(NOW), "yes no no no no no", "", {"confirmed_at": NOW}),
    "confirm:passkey": Change(
        lambda rows, _: rows.confirm(NOW, credential_digest="digest", used=True),
        "yes no no no no no",
        "",
        {"confirmed_at": NOW, "credential_digest": "digest", "last_used_at": NOW},
    ),
    "lose": Change(lambda rows, _: rows.lose(NOW), "yes yes yes yes no yes", "", {"lost_at": NOW}),
    "regain": Change(lambda rows, _: rows.regain(), "no no no no yes no", "lost_at"),
    "hold": Change(lambda rows, read: rows.hold(read.user_id), EVERY),
    "record_use": Change(lambda rows, _: rows.record_use(NOW), EVERY, "", {"last_used_at": NOW}),
    "prove": Change(lambda rows, _: rows.prove(NOW), "no yes yes yes no yes", "held_at", WORKED),
    "record_way": Change(
        lambda rows, _: rows.record_way(NOW, channel="call", line_type="voip"),
        EVERY,
        "held_at",
        WORKED | {"channel": "call", "line_type": "voip"},
    ),
    "record_way:untold": Change(
        lambda rows, _: rows.record_way(NOW, channel="call", line_type=""),
        EVERY,
        "held_at",
        WORKED | {"channel": "call"},
    ),
    "record_line_type": Change(lambda rows, _: rows.record_line_type("voip"), EVERY, "", {"line_type": "voip"}),
    "record_answers": Change(
        lambda rows, read: rows.record_answers(read.used_answers, [(2, "b")]), EVERY, "", {"used_answers": [[2, "b"]]}
    ),
    "charge": Change(lambda rows, _: rows.charge(NOW, 50), "yes yes yes no yes yes", "", {"failures": plus(1)}),
    "charge:last": Change(
        lambda rows, _: rows.charge(NOW, 3), "yes yes yes no yes yes", "", {"failures": 3, "held_at": NOW}
    ),
    "record_failure": Change(
        lambda rows, _: rows.record_failure(NOW, 50), "yes yes yes yes yes no", "", {"failures": plus(1)}
    ),
    "record_failure:last": Change(
        lambda rows, _: rows.record_failure(NOW, 3),
        "yes yes yes yes yes no",
        "",
        {"failures": plus(1), "held_at": lambda before: before or NOW},
    ),
    "refund": Change(lambda rows, _: rows.refund(50), EVERY, "held_at", {"failures": plus(-1)}),
    "refund:told": Change(lambda rows, _: rows.refund(1), EVERY, "", {"failures": plus(-1)}),
    "record_told": Change(lambda rows, _: rows.record_told(2), EVERY, "", {"failures_told": 2}),
    "record_told:most": Change(lambda rows, _: rows.record_told(50), "no no no yes no no", "", {"failures_told": 50}),
    "release": Change(
        lambda rows, _: rows.release(AGO), "no no no yes no no", "held_at", {"failures": 0, "failures_told": 0}
    ),
    "make_default": Change(lambda rows, read: rows.make_default(read.user_id), EVERY, "", {"default_for_id": ANN}),
    "make_default:chosen": Change(
        lambda rows, read: rows.make_default(read.user_id, chosen_at=NOW),
        EVERY,
        "",
        {"default_for_id": ANN, "chosen_at": NOW},
    ),
    "clear_default": Change(
        lambda rows, read: rows.clear_default(read.user_id), "no no yes no no no", "default_for_id chosen_at"
    ),
    "inherit": Change(lambda rows, _: rows.inherit(Factor(), "name"), EVERY, "", {"label": "name"}),
    "inherit:default": Change(
        lambda rows, read: rows.inherit(Factor(default_for_id=read.user_id, chosen_at=NOW), "name"),
        EVERY,
        "",
        {"label": "name", "default_for_id": ANN, "chosen_at": NOW},
    ),
    "rename": Change(lambda rows, _: rows.rename("name"), EVERY, "", {"label": "name"}),
    "rewrite_fingerprints": Change(
        lambda rows, _: rows.rewrite_fingerprints({"old": "new"}), EVERY, "", {"key": "new"}
    ),
}


def make_one(state: str, **values: Any) -> FactorQuerySet:
    """The rows with one alone, which was used, and has failed at least once."""
    given = STATES[state] | values
    made = Factor.objects.create(
        **{
            "user_id": ANN,
            "kind": "phone",
            "channel": "sms",
            "key": "old",
            "recipient_value": PHONE,
            "used_answers": [[1, "a"]],
            "failures": 2,
            "failures_told": 1,
            "line_type": "mobile",
            "created_at": AGO,
            "confirmed_at": AGO,
            "last_used_at": AGO,
        }
        | given
    )
    return Factor.objects.filter(pk=made.pk)


def test_the_table_has_every_method_of_factors() -> None:
    assert {name.split(":")[0] for name in FACTORS} == methods_of(FactorQuerySet)
    for change in FACTORS.values():
        assert len(change.allowed.split()) == len(STATES) and set(change.allowed.split()) <= {"yes", "no"}


@pytest.mark.django_db
@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_changes_from_these_states_alone(name: str) -> None:
    for state, word in zip(STATES, FACTORS[name].allowed.split(), strict=True):
        rows = make_one(state)
        check(rows, FACTORS[name], word == "yes")
        rows.delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("record_answers", {"used_answers": [[1, "b"]]}),
        ("record_answers", {"used_answers": []}),
        ("charge", {"failures": 50}),
        ("charge", {"held_at": AGO}),
        ("refund", {"failures": 0}),
        ("release", {"held_at": SOON}),
        ("record_told", {"failures": 1}),
        ("record_told", {"failures_told": 2}),
        ("confirm", {"confirmed_at": AGO}),
        ("prove", {"lost_at": AGO}),
        ("rewrite_fingerprints", {"key": "other"}),
    ],
)
def test_a_factor_does_not_change_once_it_is_not_as_it_was_read(name: str, values: dict[str, Any]) -> None:
    rows = make_one("confirmed")
    read = rows.get()
    QuerySet.update(rows, **values)
    before = rows.values().get()
    assert FACTORS[name].call(rows, read) == 0 and rows.values().get() == before


@pytest.mark.django_db
def test_what_another_user_has_is_neither_held_nor_made_the_default() -> None:
    rows, ben = make_one("confirmed"), make_user("ben")
    before = rows.values().get()
    assert rows.hold(ben.pk) == rows.make_default(ben.pk) == rows.clear_default(ben.pk) == 0
    assert rows.values().get() == before


# ---- nobody writes around them

WRITES = {"update", "aupdate", "bulk_update", "abulk_update", "save", "asave", "update_or_create", "aupdate_or_create"}
_NAMED = re.compile(r"(\w+\.)*((QuerySet|Manager)\[)?['\"]?(Verification|Factor|UserState)(QuerySet|Manager)?\b(?! *,)")
_MODELS = {"Verification", "Factor", "UserState"}
_MANAGERS = {"objects", "_default_manager", "_base_manager"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_RELATIONS = {
    "verification",
    "factor",
    "twilio_verifications",
    "twilio_factors",
    "twilio_user_state",
    "verifications",
    "factors",
}


def _is_ours(annotation: ast.expr | None) -> bool:
    return annotation is not None and _NAMED.match(ast.unparse(annotation)) is not None


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """A function with those inside of it, or of a module what is in no function."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(scope, ast.Module | ast.ClassDef) or not isinstance(node, _FUNCTIONS):
            yield node
            yield from ast.walk(node) if not isinstance(node, ast.ClassDef) else _within(node)


class _Scope:
    """What one function calls a verification, a factor or a user's state, or rows of them."""

    def __init__(self, function: ast.AST, makers: set[str]) -> None:
        self.names, self.makers = {*_MODELS}, makers
        for node in _within(function):
            if isinstance(node, ast.arg) and _is_ours(node.annotation):
                self.names.add(node.arg)
        known = 0
        while known != len(self.names):
            known = len(self.names)
            for node in _within(function):
                self._learn(node)

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if _is_ours(node.annotation) or (node.value is not None and self.is_row(node.value)):
                self.names.add(node.target.id)
        elif isinstance(node, ast.NamedExpr):
            self._bind(node.target, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            self._bind(node.target, node.iter)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for each, its in zip(target.elts, value.elts, strict=True):
                self._bind(each, its)
        elif isinstance(target, ast.Name) and self.is_row(value):
            self.names.add(target.id)

    def is_row(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(value=value, attr=name):
                return name in _RELATIONS | _MODELS or (name in _MANAGERS and self.is_row(value))
            case ast.Call(func=ast.Name(id="type"), args=[value]) | ast.NamedExpr(value=value):
                return self.is_row(value)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.makers or name in _MODELS
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return (name in self.makers and isinstance(value, ast.Name)) or self.is_row(value)
            case ast.Subscript(value=value) | ast.Await(value=value):
                return self.is_row(value)
            case ast.IfExp(body=one, orelse=other):
                return self.is_row(one) or self.is_row(other)
            case ast.BoolOp(values=values):
                return any(self.is_row(value) for value in values)
        return False


def makers_of(tree: ast.Module) -> set[str]:
    """Functions that return them, by their annotations."""
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _is_ours(node.returns)}


def written_around(tree: ast.Module, makers: set[str]) -> Iterator[int]:
    """The lines that write to a verification or a factor; also what is only handed on: ``partial(row.update, …)``."""
    for function in ast.walk(tree):
        if isinstance(function, (*_FUNCTIONS, ast.Module)):
            scope = _Scope(function, makers)
            for node in _within(function):
                if isinstance(node, ast.Attribute) and node.attr in WRITES and scope.is_row(node.value):
                    yield node.lineno


def test_no_module_but_the_models_writes_to_a_verification_a_factor_or_a_state() -> None:
    trees = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    # For sites' tests, which put records back in time: nothing of a site's imports it.
    written_by_hand = ("models/", "migrations/", "testing/")
    trees = {path: tree for path, tree in trees.items() if not path.startswith(written_by_hand)}
    own = {path: makers_of(tree) for path, tree in trees.items()}
    public = {name for names in own.values() for name in names if not name.startswith("_")} - {"get", "create"}
    found = {f"{path}:{line}" for path, tree in trees.items() for line in written_around(tree, own[path] | public)}
    assert len(trees) > 200 and {"_standing", "load"} <= set.union(*own.values())
    assert sorted(found) == []


@pytest.mark.parametrize(
    "source",
    [
        "Verification.objects.filter(pk=1).update(sid='')",
        "models.Factor.objects.using('x').filter(pk=1).exclude(pk=2).update(label='')",
        "Factor.objects.bulk_update([], ['label'])",
        "row = Verification.objects.filter(pk=1)\nrow.filter(pk=2).update(sid='')",
        "row, now = Factor.objects.filter(pk=1), 1\nwork(partial(row.update, label=''))",
        "def f():\n    row = Factor.objects.filter(pk=1)\n    def g():\n        row.update(label='')",
        "def f(one: Verification | None):\n    one.save()",
        "def f(rows: QuerySet[Factor]):\n    rows.update(label='')",
        "def f(rows: FactorQuerySet):\n    rows.update(label='')",
        "for one in Factor.objects.all():\n    one.save(update_fields=['label'])",
        "reserved.verification.save()",
        "user.twilio_factors.filter(pk=1).update(label='')",
        "UserState.objects.filter(user_id=1).update(sessions_ended_at=None)",
        "UserState.objects.update_or_create(user_id=1, defaults={})",
        "def rows() -> QuerySet[Factor]: ...\nrows().update(label='')",
        "type(factor := Factor.objects.get()).objects.update(label='')",
    ],
)
def test_what_would_be_found(source: str) -> None:
    tree = ast.parse(source)
    assert [*written_around(tree, makers_of(tree))]


@pytest.mark.parametrize(
    "source",
    [
        "VerificationAttempt.objects.filter(pk=1).update(sid='')",
        "RecoveryCode.objects.filter(pk=1).update(used_at=None)",
        "digest.update(content)",
        "verification.user.save()",
        "def f(device: VerifyDevice):\n    device.save()",
        "def f(found: dict[str, Factor]):\n    found.update({})",
        "Factor.objects.filter(pk=1).rename('')",
    ],
)
def test_what_would_not_be_found(source: str) -> None:
    tree = ast.parse(source)
    assert not [*written_around(tree, makers_of(tree))]
