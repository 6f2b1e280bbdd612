"""How the package sends its signals: read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.dispatch import Signal

import django_twilio_verify
from django_twilio_verify import signals

PACKAGE = Path(django_twilio_verify.__file__).parent
SENDERS = {"send", "asend", "send_robust", "asend_robust"}
OWN = {signal.name for signal in signals.ALL}


def sent(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each call of a signal's own methods: the name of the signal, and of the method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SENDERS:
            if isinstance(node.value, ast.Name):
                yield node.value.id, node.attr
            elif isinstance(node.value, ast.Attribute):
                yield node.value.attr, node.attr


def test_login_deciding_alone_is_sent_by_send() -> None:
    found = {
        (str(file.relative_to(PACKAGE)), signal, method)
        for file in PACKAGE.rglob("*.py")
        for signal, method in sent(ast.parse(file.read_text()))
        if signal in OWN
    }
    assert found == {("login/enforcement.py", "login_deciding", "send")}


@pytest.mark.parametrize("text", ["login_completed.send(sender=X)", "f(signals.factor_added.send_robust, sender=X)"])
def test_the_walk_finds_what_it_looks_for(text: str) -> None:
    assert [signal for signal, _method in sent(ast.parse(text)) if signal in OWN]


def test_all_lists_every_signal() -> None:
    public = {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert {signal.name: signal for signal in signals.ALL} == public
    assert len(signals.ALL) == len(public)
    assert {*signals.__all__} == {*public, "ALL"}
    assert [repr(signal) for signal in signals.ALL] == [f"<Signal {signal.name}>" for signal in signals.ALL]
