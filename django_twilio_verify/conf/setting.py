"""How a setting is declared: a property that knows its default, its check and its line in the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, NamedTuple, Never, NoReturn, Self, TypeVar, overload

from django.core.exceptions import ImproperlyConfigured

from . import readers

T = TypeVar("T")


class Problem(NamedTuple):
    """What a system check says of a value."""

    text: str
    hint: str | None = None


def nothing(name: str, value: object) -> Iterable[Problem]:
    """Find nothing wrong with a value that can be read."""
    return ()


@dataclass(frozen=True, eq=False)
class Setting(property, Generic[T]):
    """One setting. ``read`` makes a ``T`` of what is written, or raises ``ImproperlyConfigured``.

    ``default``: as if written, or a callable that gives it. ``kind``: type and unit, in the words of the reference;
    ``means`` stands after the default there, ``told`` instead of it. ``check``: the id of the system check, if a value
    can be wrong; ``judge`` finds what is wrong with one that can be read. ``security``: the check has that tag.
    """

    read: Callable[[str, Any], T]
    default: Any
    kind: str
    _: KW_ONLY
    means: str = ""
    told: str = ""
    check: str = ""
    judge: Callable[[str, T], Iterable[Problem]] = nothing
    security: bool = False
    name: str = field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", f"TWILIO_VERIFY_{name.upper()}")

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object, owner: type | None = None) -> Self | T:
        # Read in every request, some of them often: each call here counts.
        if instance is None:
            return self
        default = self.default() if callable(self.default) else self.default
        return self.read(self.name, readers.written(self.name, default))

    def __set__(self, instance: object, value: Never) -> NoReturn:
        raise AttributeError(f"{self.name} is read from Django's settings.")

    def problems(self) -> list[Problem]:
        """Find what is wrong with what the site wrote."""
        try:
            value = self.__get__(self)  # of whatever instance: there is one site
        except ImproperlyConfigured as error:
            return [Problem(str(error))]
        return [*self.judge(self.name, value)]

    @property
    def documented_default(self) -> str:
        """The default as the reference says it."""
        literal = repr(self.default).replace("'", '"')
        return self.told or f"`{literal}`" + (f": {self.means}" if self.means else "")


@dataclass(frozen=True, eq=False)
class Number(Setting[T]):
    """A whole number from ``low`` to ``high``: out of these bounds it is read as it is, and a check tells.

    ``unit``: of a duration, in the plural; ``""`` for a plain number.
    """

    _: KW_ONLY
    low: int
    high: int
    unit: str = ""

    def problems(self) -> list[Problem]:
        """Find what is wrong: one sentence, whether it is no number or out of bounds."""
        try:
            value = self.__get__(self)  # of whatever instance: there is one site
            # What a callable answers is judged when it does.
            fits = not isinstance(value, int) or self.low <= value <= self.high
        except ImproperlyConfigured:
            fits = False
        return [] if fits else [Problem(f"{self.name} must be {self._expected}.")]

    @property
    def _expected(self) -> str:
        if not self.unit:
            return f"a whole number from {self.low} to {self.high}"
        return f"whole {self.unit}, or a timedelta of such, from {self.low} to {self.high} {self.unit}"
