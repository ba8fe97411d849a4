"""Bottle on waitress."""

from typing import ClassVar

from asked import Asked


class TestBottle(Asked):
    APP = "bottle_routes"
    ROUTES: ClassVar = {
        "GET /odd/word-3/": ("/odd/{name}-{0}/", 200),
        "GET /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 200),
        "PUT /tenants/acme/orders/9": ("/tenants/{tenant}/orders/{order_id}", 405),
        "GET /tenants/acme/inner/orders/9": ("/tenants/{tenant}/inner/orders/{order_id}", 200),
        "GET /wsgi/orders/9": ("/wsgi/orders/{order_id}", 200),
        "GET /other/orders/9": ("/other/orders/{order_id}", 200),
        "GET /other/again/orders/9": ("/other/again/orders/{order_id}", 200),
        "GET /opaque/what/ever": ("/opaque/{0}", 200),
        "GET /both": ("/own/{x}", 200),
    }
