"""The control port: sets and clears faults, shows counters. On 127.0.0.1 only, and not for pages of a browser."""

from collections.abc import Awaitable, Callable, Mapping

import orjson
from aiohttp import web

from okno.errors import InvalidInput
from okno.sandbox.faults import FaultBoard, Faults
from okno.sandbox.http_simulator import json_response
from okno.sandbox.serving import HOST, Port


class Control:
    """`/faults`, `/faults/{system}`, `/counters`."""

    def __init__(self, boards: Mapping[str, FaultBoard]) -> None:
        self._boards = boards
        app = web.Application(middlewares=[_local_only], client_max_size=64 * 1024)
        app.router.add_get("/faults", self._show)
        app.router.add_post("/faults/{system}", self._set)
        app.router.add_delete("/faults/{system}", self._clear)
        app.router.add_get("/counters", self._counters)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, port: Port) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, port.listening()).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _show(self, request: web.Request) -> web.Response:
        return json_response({name: board.current.as_dict() for name, board in self._boards.items()})

    async def _counters(self, request: web.Request) -> web.Response:
        return json_response({name: board.counters() for name, board in self._boards.items()})

    async def _set(self, request: web.Request) -> web.Response:
        board = self._boards.get(request.match_info["system"])
        if board is None:
            return self._unknown(request)
        try:
            faults = Faults.parse(orjson.loads(await request.read() or b"{}"))
        except orjson.JSONDecodeError:
            return json_response({"error": "the body is not valid JSON"}, status=400)
        except InvalidInput as error:
            return json_response({"error": error.message, "field": error.field}, status=400)
        board.set(faults)
        return json_response(faults.as_dict())

    async def _clear(self, request: web.Request) -> web.Response:
        board = self._boards.get(request.match_info["system"])
        if board is None:
            return self._unknown(request)
        board.set(Faults())
        return json_response({})

    def _unknown(self, request: web.Request) -> web.Response:
        known = ", ".join(self._boards)
        return json_response(
            {"error": f"no such system: {request.match_info['system'][:64]}; known are {known}"}, status=404
        )


@web.middleware
async def _local_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A page that somebody has open in a browser must not reach this port: neither cross-site nor by DNS rebinding."""
    host = request.host.rpartition(":")[0] or request.host
    if "Origin" in request.headers or host not in (HOST, "localhost"):
        return json_response({"error": "the control port is for programs on this machine"}, status=403)
    return await handler(request)
