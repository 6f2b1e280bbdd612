"""What the shop sells, and the basket, which is kept in the session."""

from dataclasses import dataclass
from decimal import Decimal

from django.http import HttpRequest


@dataclass(frozen=True)
class Product:
    slug: str
    name: str
    about: str
    price: Decimal


@dataclass(frozen=True)
class Line:
    product: Product
    count: int

    @property
    def price(self) -> Decimal:
        return self.product.price * self.count


PRODUCTS = {
    product.slug: product
    for product in (
        Product("sourdough", "Sourdough loaf", "Baked this morning, 750 g.", Decimal("4.80")),
        Product("tomatoes", "Vine tomatoes", "Ripe and red, 500 g.", Decimal("3.20")),
        Product("coffee", "Ground coffee", "Dark roast for the moka pot, 250 g.", Decimal("7.90")),
        Product("honey", "Acacia honey", "From the hives on the hill, 340 g.", Decimal("6.50")),
    )
}


def add(request: HttpRequest, product: Product) -> None:
    counts = request.session.setdefault("basket", {})
    counts[product.slug] = counts.get(product.slug, 0) + 1
    request.session.modified = True


def lines(request: HttpRequest) -> list[Line]:
    counts: dict[str, int] = request.session.get("basket", {})
    return [Line(PRODUCTS[slug], count) for slug, count in counts.items() if slug in PRODUCTS]


def total(request: HttpRequest) -> Decimal:
    return sum((line.price for line in lines(request)), Decimal())


def amount(request: HttpRequest) -> str:
    """What the basket costs at this moment, as the person reads it and approves it."""
    return f"{total(request):.2f} EUR"


def empty(request: HttpRequest) -> None:
    request.session.pop("basket", None)


def in_templates(request: HttpRequest) -> dict[str, object]:
    """Context processor: how many things are in the basket."""
    return {"basket_count": sum(line.count for line in lines(request))}
