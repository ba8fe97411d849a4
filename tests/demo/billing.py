"""The demo's Django server: bills. Its only telemetry is the line in MIDDLEWARE."""

from __future__ import annotations

import time
from collections.abc import Iterator

import django
import serving
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_http_methods, require_safe

EXPORT_TAKES_S = 0.09
TOTAL_TAKES_S = 0.06
TOKENS = {"Bearer acme-token": "acme", "Bearer globex-token": "globex"}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=[
        "libmalti.django.MaltiMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    ROOT_URLCONF=__name__,
)


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "healthy"})


@require_http_methods(["GET", "HEAD", "POST"])
def bills(request: HttpRequest) -> JsonResponse:
    if request.method != "POST":
        return JsonResponse({"bills": [1, 2, 3]})
    request.malti_consumer = TOKENS.get(request.headers.get("Authorization", ""))
    request.malti_context = "bill, " + request.headers["X-Request-Id"]
    return JsonResponse({"status": "sent"}, status=201)


def bill(request: HttpRequest, bill_id: int) -> JsonResponse:
    if bill_id > 100:
        raise Http404
    return JsonResponse({"id": bill_id})


@require_safe
def total(request: HttpRequest, year: str) -> JsonResponse:
    time.sleep(TOTAL_TAKES_S)
    return JsonResponse({"year": int(year)})


def export(request: HttpRequest) -> StreamingHttpResponse:
    """A body that takes its time, which counts, although the head is out at once."""

    def lines() -> Iterator[str]:
        for number in range(3):
            time.sleep(EXPORT_TAKES_S / 3)
            yield f"{number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


@require_http_methods(["PUT", "DELETE"])
def payment(request: HttpRequest, account: str, payment_id: int) -> HttpResponse:
    return HttpResponse(status=204 if request.method == "DELETE" else 200)


def audit(request: HttpRequest) -> HttpResponse:
    caller = TOKENS.get(request.headers.get("Authorization", ""))
    if caller is None:
        return HttpResponse(status=401)
    request.malti_consumer = caller
    raise PermissionDenied


def refund(request: HttpRequest, number: str) -> HttpResponse:
    raise RuntimeError(f"refund {number} can't be paid (on purpose)")


payments = [path("payments/<int:payment_id>/", payment)]
urlpatterns = [
    path("health", health),
    path("bills/", bills),
    path("bills/<int:bill_id>/", bill),
    re_path(r"^totals/(?P<year>[0-9]{4})/$", total),
    path("export/", export),
    path("accounts/<slug:account>/", include(payments)),
    path("audit/", audit),
    path("refunds/<str:number>/", refund),
]
django.setup()

if __name__ == "__main__":
    serving.under_gunicorn(get_wsgi_application())
