"""Two tests clients that share one session."""

from __future__ import annotations

from django.test import Client


def same_browser(browser: Client) -> Client:
    tab = Client()
    tab.cookies.update(browser.cookies)
    return tab
