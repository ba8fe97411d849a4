"""Falcon on waitress, and Falcon's ASGI on uvicorn."""

from typing import ClassVar

from asked import Asked

ROUTES = {
    "GET /odd/12-word/x": ("/odd/{one}-{two}/x", 200),
    "OPTIONS /users/7": ("/users/{user_id}", 200),
    "GET /proxy/any/thing": ("/proxy/{path}", 200),
    "GET /named/word/thing": ("/named/{name}/{path}", 200),
    "GET /static/serving.py": ("/static/{path}", 200),
    "GET /both": ("/own/{x}", 200),
}


class TestFalcon(Asked):
    APP = "falcon_routes"
    ROUTES: ClassVar = ROUTES


class TestFalconAsgi(Asked):
    APP = "falcon_routes"
    ENV: ClassVar = {"TEST_ASGI": "1"}
    ROUTES: ClassVar = ROUTES
