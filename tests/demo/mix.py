"""The requests that the demo sends, each with the record that must come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import chain, cycle

SHOP, REVIEWS, BILLING = "shop-fastapi", "reviews-flask", "billing-django"
TICKETS, PARCELS, STOCK = "tickets-express", "parcels-go", "stock-c"
NODE = "demo-node"
# How long the servers take at least for these: shop.py, reviews.py, billing.py, tickets.cjs,
# parcels/main.go and bindings/c/examples/stock.c.
SEARCH_TAKES_MS = 80
EXPORT_TAKES_MS = 150
DIGEST_TAKES_MS = 90
BILLS_EXPORT_TAKES_MS = 90
TOTAL_TAKES_MS = 60
BOARD_TAKES_MS = 90
TRACK_TAKES_MS = 90
REPORT_TAKES_MS = 120

ACME, GLOBEX = "Bearer acme-token", "Bearer globex-token"


@dataclass(frozen=True)
class Record:
    """The fields that can be known beforehand."""

    service: str
    method: str
    endpoint: str
    status: int
    consumer: str
    context: str | None
    node: str | None = NODE

    def __str__(self) -> str:
        context = "no context" if self.context is None else f'context "{self.context}"'
        return (
            f"{self.service}  {self.method} {self.endpoint}  {self.status}"
            f'  consumer "{self.consumer}"  {context}  node "{self.node}"'
        )


@dataclass(frozen=True)
class Request:
    """One request and what it leads to."""

    id: str
    service: str
    method: str
    target: str
    headers: dict[str, bytes]
    body: bytes | None
    status: int
    #: None: clean mode or exclude_endpoints leaves it out.
    record: Record | None
    at_least_ms: int


@dataclass(frozen=True)
class Caller:
    """Says who calls, and who that is by the rules."""

    consumer: str
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


# In the order of the rules: a header comes before the query, one header before another, and an
# empty one counts as absent.
CALLERS = (
    Caller("anonymous"),
    Caller("acme", {"X-Consumer-Id": "acme"}),
    Caller("Jürgen", {"x-user-id": "Jürgen"}),
    Caller("globex", query="consumer_id=globex"),
    Caller("Müller, Söhne", query="user_id=M%C3%BCller%2C+S%C3%B6hne"),
    Caller("acme", {"X-Consumer-Id": "acme", "User-Id": "nobody"}, "consumer_id=nobody"),
    Caller("umbrella", {"X-Consumer-Id": " "}, "user_id=umbrella"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of request; `{n}` in target and context is its number, `{id}` its id."""

    service: str
    count: int
    method: str
    target: str
    endpoint: str
    status: int = 200
    #: Sent as Authorization; where the application knows it, it says who calls.
    token: str | None = None
    state: str | None = None
    context: str = "{id}"
    body: bytes | None = None
    at_least_ms: int = 0


KINDS = (
    Kind(SHOP, 40, "GET", "/products", "/products"),
    Kind(SHOP, 12, "HEAD", "/products", "/products"),
    Kind(SHOP, 36, "GET", "/products/{n}", "/products/{product_id}"),
    Kind(SHOP, 6, "GET", "/products/x{n}", "/products/{product_id}", 422),
    Kind(SHOP, 6, "GET", "/products/100{n}", "/products/{product_id}", 404),
    Kind(SHOP, 4, "PATCH", "/products", "/products", 405),
    Kind(SHOP, 16, "GET", "/search?q=bolt", "/search", at_least_ms=SEARCH_TAKES_MS),
    Kind(SHOP, 6, "GET", "/export", "/export", at_least_ms=EXPORT_TAKES_MS),
    Kind(SHOP, 20, "GET", "/orders/2{n}", "/orders/{order_id}", 200, ACME, "acme"),
    Kind(SHOP, 5, "GET", "/orders/13", "/orders/{order_id}", 503, GLOBEX, "globex"),
    Kind(SHOP, 8, "GET", "/orders/3{n}", "/orders/{order_id}", 401),
    Kind(SHOP, 12, "POST", "/orders", "/orders", 201, GLOBEX, "globex", "checkout, {id}", b"{}"),
    # A token that the shop does not know: the application sets None, so the other rules hold.
    Kind(SHOP, 6, "POST", "/orders", "/orders", 201, "Bearer x", None, "checkout, {id}", b"{}"),
    Kind(SHOP, 18, "PUT", "/carts/c{n}/items/7", "/carts/{cart_id}/items/{item_id}"),
    Kind(SHOP, 9, "DELETE", "/carts/c{n}/items/7", "/carts/{cart_id}/items/{item_id}", 204),
    Kind(SHOP, 5, "GET", "/admin/jobs/nightly", "/admin/jobs/{job_id}", 403),
    Kind(SHOP, 4, "GET", "/invoices/{n}", "/invoices/{number}", 500),
    Kind(SHOP, 5, "GET", "/wp-login.php", "/wp-login.php", 404),
    Kind(SHOP, 8, "GET", "/health", "/health"),
    Kind(REVIEWS, 30, "GET", "/reviews", "/reviews"),
    Kind(REVIEWS, 10, "HEAD", "/reviews", "/reviews"),
    Kind(REVIEWS, 20, "GET", "/reviews/{n}", "/reviews/{review_id}"),
    Kind(REVIEWS, 5, "GET", "/reviews/100{n}", "/reviews/{review_id}", 404),
    Kind(REVIEWS, 4, "PATCH", "/reviews", "/reviews", 405),
    Kind(REVIEWS, 8, "GET", "/digest", "/digest", at_least_ms=DIGEST_TAKES_MS),
    Kind(REVIEWS, 8, "POST", "/reviews", "/reviews", 201, GLOBEX, "globex", "review, {id}", b"{}"),
    Kind(REVIEWS, 4, "POST", "/reviews", "/reviews", 201, "Bearer x", None, "review, {id}", b"{}"),
    Kind(REVIEWS, 10, "PUT", "/reviews/{n}/votes/v{n}", "/reviews/{review_id}/votes/{voter}"),
    Kind(REVIEWS, 6, "DELETE", "/reviews/1/votes/v{n}", "/reviews/{review_id}/votes/{voter}", 204),
    Kind(REVIEWS, 6, "GET", "/reported/2024/{n}", "/reported/{page}", 200, ACME, "acme"),
    Kind(REVIEWS, 4, "GET", "/reported/2024/{n}", "/reported/{page}", 401),
    Kind(REVIEWS, 4, "GET", "/reported/2024/{n}", "/reported/{page}", 403, GLOBEX, "globex"),
    Kind(REVIEWS, 4, "GET", "/stars/bolt-m{n}", "/stars/{sku}", 500),
    Kind(REVIEWS, 4, "GET", "/phpinfo.php", "/phpinfo.php", 404),
    Kind(REVIEWS, 6, "GET", "/health", "/health"),
    Kind(BILLING, 30, "GET", "/bills/", "/bills/"),
    Kind(BILLING, 10, "HEAD", "/bills/", "/bills/"),
    # Django sends the client to the path with a slash, which is another request.
    Kind(BILLING, 4, "GET", "/bills", "/bills", 301),
    Kind(BILLING, 20, "GET", "/bills/{n}/", "/bills/{bill_id}/"),
    Kind(BILLING, 5, "GET", "/bills/100{n}/", "/bills/{bill_id}/", 404),
    Kind(BILLING, 4, "PATCH", "/bills/", "/bills/", 405),
    Kind(BILLING, 10, "GET", "/totals/202{n}/", "/totals/{year}/", at_least_ms=TOTAL_TAKES_MS),
    Kind(BILLING, 6, "GET", "/export/", "/export/", at_least_ms=BILLS_EXPORT_TAKES_MS),
    Kind(BILLING, 8, "POST", "/bills/", "/bills/", 201, ACME, "acme", "bill, {id}", b"{}"),
    Kind(BILLING, 4, "POST", "/bills/", "/bills/", 201, "Bearer x", None, "bill, {id}", b"{}"),
    Kind(
        *(BILLING, 10, "PUT", "/accounts/a{n}/payments/{n}/"),
        "/accounts/{account}/payments/{payment_id}/",
    ),
    Kind(
        *(BILLING, 6, "DELETE", "/accounts/a{n}/payments/{n}/"),
        *("/accounts/{account}/payments/{payment_id}/", 204),
    ),
    Kind(BILLING, 4, "GET", "/audit/", "/audit/", 401),
    Kind(BILLING, 4, "GET", "/audit/", "/audit/", 403, GLOBEX, "globex"),
    Kind(BILLING, 4, "GET", "/refunds/r{n}/", "/refunds/{number}/", 500),
    Kind(BILLING, 4, "GET", "/.git/config", "/.git/config", 404),
    Kind(BILLING, 6, "GET", "/health", "/health"),
    Kind(TICKETS, 30, "GET", "/tickets", "/tickets"),
    Kind(TICKETS, 10, "HEAD", "/tickets", "/tickets"),
    Kind(TICKETS, 20, "GET", "/tickets/{n}", "/tickets/{ticket_id}"),
    Kind(TICKETS, 5, "GET", "/tickets/100{n}", "/tickets/{ticket_id}", 404),
    Kind(TICKETS, 4, "PATCH", "/tickets", "/tickets", 405),
    Kind(TICKETS, 8, "GET", "/board", "/board", at_least_ms=BOARD_TAKES_MS),
    Kind(TICKETS, 8, "POST", "/tickets", "/tickets", 201, GLOBEX, "globex", "ticket, {id}", b"{}"),
    Kind(TICKETS, 4, "POST", "/tickets", "/tickets", 201, "Bearer x", None, "ticket, {id}", b"{}"),
    Kind(TICKETS, 10, "PUT", "/projects/p{n}/labels/l{n}", "/projects/{project}/labels/{label}"),
    Kind(
        *(TICKETS, 6, "DELETE", "/projects/p{n}/labels/l{n}"),
        *("/projects/{project}/labels/{label}", 204),
    ),
    Kind(TICKETS, 6, "GET", "/attachments/a/{n}", "/attachments/{path}", 200, ACME, "acme"),
    Kind(TICKETS, 4, "GET", "/attachments/a/{n}", "/attachments/{path}", 401),
    Kind(TICKETS, 4, "GET", "/attachments/a/{n}", "/attachments/{path}", 403, GLOBEX, "globex"),
    Kind(TICKETS, 4, "GET", "/priorities/{n}", "/priorities/{ticket_id}", 500),
    Kind(TICKETS, 4, "GET", "/config.json", "/config.json", 404),
    Kind(TICKETS, 6, "GET", "/health", "/health"),
    Kind(PARCELS, 30, "GET", "/parcels", "/parcels"),
    Kind(PARCELS, 10, "HEAD", "/parcels", "/parcels"),
    Kind(PARCELS, 20, "GET", "/parcels/{n}", "/parcels/{parcel_id}"),
    Kind(PARCELS, 5, "GET", "/parcels/100{n}", "/parcels/{parcel_id}", 404),
    Kind(PARCELS, 4, "PATCH", "/parcels", "/parcels", 405),
    Kind(PARCELS, 8, "POST", "/parcels", "/parcels", 201, GLOBEX, "globex", "parcel, {id}", b"{}"),
    Kind(PARCELS, 4, "POST", "/parcels", "/parcels", 201, "Bearer x", None, "parcel, {id}", b"{}"),
    Kind(PARCELS, 8, "GET", "/track/{n}", "/track/{parcel_id}", at_least_ms=TRACK_TAKES_MS),
    Kind(PARCELS, 10, "PUT", "/depot/shelves/s{n}", "/depot/shelves/{shelf}"),
    Kind(PARCELS, 4, "GET", "/weights/{n}", "/weights/{parcel_id}", 500),
    Kind(PARCELS, 4, "GET", "/backup.zip", "/backup.zip", 404),
    Kind(PARCELS, 6, "GET", "/health", "/health"),
    Kind(STOCK, 40, "GET", "/items", "/items"),
    Kind(STOCK, 24, "GET", "/items/bolt-m8", "/items/{sku}"),
    Kind(STOCK, 24, "GET", "/items/hinge-70", "/items/{sku}"),
    Kind(STOCK, 10, "HEAD", "/items/nut-m8", "/items/{sku}"),
    Kind(STOCK, 6, "GET", "/items/nail-{n}", "/items/{sku}", 404),
    Kind(STOCK, 10, "POST", "/items", "/items", 201, body=b'{"sku":"screw-m4"}'),
    Kind(STOCK, 4, "POST", "/items", "/items", 400, body=b"sku=screw-m4"),
    Kind(STOCK, 7, "DELETE", "/items/screw-{n}", "/items/{sku}", 204),
    Kind(STOCK, 3, "DELETE", "/items/bolt-m8", "/items/{sku}", 409),
    Kind(STOCK, 3, "PATCH", "/items/bolt-m8", "/items/{sku}", 405),
    Kind(STOCK, 28, "GET", "/warehouses/w{n}/bins/{n}", "/warehouses/{warehouse_id}/bins/{bin_id}"),
    Kind(
        *(STOCK, 5, "GET", "/warehouses/closed/bins/{n}"),
        *("/warehouses/{warehouse_id}/bins/{bin_id}", 503),
    ),
    Kind(
        *(STOCK, 16, "POST", "/orders/o{n}/reservations", "/orders/{order_id}/reservations", 201),
        *(ACME, "acme", "order o{n}, {id}"),
    ),
    Kind(STOCK, 5, "POST", "/orders/o{n}/reservations", "/orders/{order_id}/reservations", 401),
    Kind(STOCK, 12, "GET", "/reports/daily", "/reports/daily", at_least_ms=REPORT_TAKES_MS),
    Kind(STOCK, 10, "GET", "/suppliers/hooli", "/suppliers/{supplier_id}"),
    Kind(STOCK, 4, "GET", "/suppliers/initech", "/suppliers/{supplier_id}", 502),
    Kind(STOCK, 4, "GET", "/audit", "/audit", 401),
    Kind(STOCK, 4, "GET", "/audit", "/audit", 403, "Bearer x"),
    Kind(STOCK, 4, "GET", "/.env", "/.env", 404),
    Kind(STOCK, 8, "GET", "/health", "/health"),
)


def _request(kind: Kind, number: int, caller: Caller, identity: str) -> Request:
    target = kind.target.format(n=number)
    if caller.query:
        target += ("&" if "?" in target else "?") + caller.query
    headers = {name: value.encode() for name, value in caller.headers.items()}
    headers["X-Request-Id"] = identity.encode()
    if kind.token:
        headers["Authorization"] = kind.token.encode()
    if kind.body:
        headers["Content-Type"] = b"application/json"
    record = Record(
        kind.service,
        kind.method,
        kind.endpoint,
        kind.status,
        kind.state or caller.consumer,
        kind.context.format(n=number, id=identity),
    )
    left_out = kind.status in (401, 404) or kind.endpoint == "/health"
    return Request(
        *(identity, kind.service, kind.method, target, headers, kind.body, kind.status),
        *(None if left_out else record, kind.at_least_ms),
    )


def requests() -> list[Request]:
    """All of them, shuffled, the same ones each time."""
    callers = cycle(CALLERS)
    wanted = list(chain.from_iterable(((kind, n) for n in range(kind.count)) for kind in KINDS))
    random.Random(7).shuffle(wanted)
    return [
        _request(kind, number, next(callers), f"req-{index:04}")
        for index, (kind, number) in enumerate(wanted, start=1)
    ]
