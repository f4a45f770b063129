"""What every answer of the API process carries, whichever way the request took to its route."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from okno.asgi import HEADER_BYTES, SECURITY_HEADERS, Application
from okno.errors import NotFound


async def _exact(request: Request) -> Response:
    bound = structlog.contextvars.get_contextvars()["request_id"]
    return PlainTextResponse(f"{request.method} {bound}")


async def _named(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"])


async def _own_policy(request: Request) -> Response:
    return PlainTextResponse("", headers={"Content-Security-Policy": "default-src 'self'"})


async def _refuse(request: Request) -> Response:
    raise NotFound("There is no such thing.")


async def _fail(request: Request) -> Response:
    raise ValueError("a secret of the inside")


ROUTES = [
    Route("/exact", _exact, methods=["GET", "POST"]),
    Route("/own", _own_policy),
    Route("/refuse", _refuse),
    Route("/fail", _fail),
    Mount("/below", routes=[Route("/refuse", _refuse), Route("/fail", _fail)]),
    Route("/{name}", _named),
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Application(ROUTES, https=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/exact", "/named", "/nowhere/at/all", "/refuse", "/fail", "/below/refuse", "/below/fail"]
)
async def test_every_answer_carries_the_security_headers_and_an_id(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    for name, value in SECURITY_HEADERS:
        assert answer.headers[name.decode()] == value.decode()
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert len(answer.headers.get_list("content-security-policy")) == 1


async def test_a_header_that_an_endpoint_sets_itself_stays_its_own(client: httpx.AsyncClient) -> None:
    answer = await client.get("/own")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_given_id_is_taken_over_and_logged_with_unless_it_is_none(client: httpx.AsyncClient) -> None:
    given = await client.post("/exact", headers={"x-request-id": "given-id-1"})
    assert (given.text, given.headers["x-request-id"]) == ("POST given-id-1", "given-id-1")
    refused = await client.post("/exact", headers={"x-request-id": "no id: {}"})
    assert refused.text == f"POST {refused.headers['x-request-id']}"
    assert refused.headers["x-request-id"] != "no id: {}"
    assert "request_id" not in structlog.contextvars.get_contextvars()


@pytest.mark.parametrize("path", ["/refuse", "/below/refuse"])
async def test_an_error_of_ours_is_a_code_and_a_sentence(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {
        "code": "NOT_FOUND",
        "message": "There is no such thing.",
        "requestId": answer.headers["x-request-id"],
    }


@pytest.mark.parametrize("path", ["/fail", "/below/fail"])
async def test_any_other_error_says_nothing_of_the_inside(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.text


async def test_other_methods_and_paths_are_answered_as_starlette_does(client: httpx.AsyncClient) -> None:
    refused = await client.delete("/exact")
    assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
    assert (await client.head("/exact")).status_code == 200
    assert (await client.get("/someone")).text == "someone"
    assert (await client.get("/nowhere/at/all")).status_code == 404


async def test_headers_of_any_length_end_before_anybody_reads_them(client: httpx.AsyncClient) -> None:
    half = "a" * (HEADER_BYTES // 2)
    refused = await client.get("/exact", headers={"accept": half, "cookie": half})
    assert (refused.status_code, refused.json()["code"]) == (431, "LIMIT_EXCEEDED")
    assert refused.json()["requestId"] == refused.headers["x-request-id"]
    assert (await client.get("/exact", headers={"accept": half})).status_code == 200
