"""QR codes: what is drawn is what was meant, and no policy has to be loosened for it."""

from __future__ import annotations

import re

import pytest

from django_twilio_verify.views.qr import svg
from tests.support import qr


@pytest.mark.parametrize("length", [1, 14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287])
def test_every_text_is_read_as_it_was_written(length: int) -> None:
    text = ("https://shop.example/verify/handover/" + "aZ0-_:" * 60)[:length]
    assert qr.read(svg(text)) == text


@pytest.mark.parametrize("text", ["</svg><script>alert(1)</script>", '"onload="x', "ünïcode ✓"])
def test_whatever_is_in_it_nothing_of_it_is_in_the_page(text: str) -> None:
    drawn = svg(text)
    back, dots = r'<path fill="#fff" d="[-\dMhvz. ]+"/>', r'<path stroke="#000" d="[-\dMhm. ]+"/>'
    assert re.fullmatch(rf'<svg viewBox="0 0 \d+ \d+">{back}{dots}</svg>\n?', drawn)
    assert "style" not in drawn and "script" not in drawn
