"""Django with telemetry, a project in one file.

Needs libmalti, django, gunicorn.
export MALTI_API_KEY=… MALTI_URL=http://localhost:8000
gunicorn django_app:application                  # or: uvicorn django_app:async_application
"""

from __future__ import annotations

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["libmalti.django.MaltiMiddleware"],
    MALTI={"SERVICE_NAME": "shop"},
    ROOT_URLCONF=__name__,
)


def order(request: HttpRequest, user_id: int, order_id: int) -> JsonResponse:
    request.malti_consumer = f"user-{user_id}"  # type: ignore[attr-defined]
    return JsonResponse({"user": user_id, "order": order_id})


orders = [path("<int:order_id>", order)]
urlpatterns = [path("users/<int:user_id>/orders/", include(orders))]

django.setup()
application = get_wsgi_application()
async_application = get_asgi_application()
