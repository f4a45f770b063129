"""The simulated HR system: REST, JSON, cursor paging. Read-only."""

# ruff: noqa: S608 (names in the SQL are this package's own; what clients send travels as parameters)

import base64
import binascii
import sqlite3

from aiohttp import web

from okno.sandbox.faults import FaultBoard
from okno.sandbox.http_simulator import MAX_BODY, HttpSimulator, json_response

DEFAULT_LIMIT, MAX_LIMIT, MAX_NUMBERS = 100, 1000, 200
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    503: "UNAVAILABLE",
}


class HrSimulator(HttpSimulator):
    """`GET /v1/employees` and `/v1/employees/{personnelNumber}`."""

    def __init__(self, company: sqlite3.Connection, board: FaultBoard, token: str) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_get("/v1/employees", self._list)
        app.router.add_get("/v1/employees/{number}", self._get)
        super().__init__(app, board, token, _error)
        self._company = company

    async def _get(self, request: web.Request) -> web.Response:
        number = _number(request.match_info["number"])
        row = None
        if number is not None:
            row = self._company.execute(
                "SELECT document FROM hr_employee WHERE number = ?", (number,)
            ).fetchone()
        if row is None:
            return _error(404, "No employee has this personnel number.")
        return json_response(row[0].encode())

    async def _list(self, request: web.Request) -> web.Response:
        if unknown := set(request.query) - {"cursor", "limit", "personnelNumbers"}:
            return _error(400, f"Unknown parameter {sorted(unknown)[0]!r}.")
        if "personnelNumbers" in request.query:
            return self._chosen(request.query["personnelNumbers"].split(","))
        limit = request.query.get("limit", str(DEFAULT_LIMIT))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MAX_LIMIT):
            return _error(400, f"limit lies between 1 and {MAX_LIMIT}.")
        after = _after(request.query.get("cursor", ""))
        if after is None:
            return _error(400, "cursor is not one that this system gave out.")
        rows = self._company.execute(
            "SELECT number, document FROM hr_employee WHERE number > ? ORDER BY number LIMIT ?",
            (after, int(limit) + 1),
        ).fetchall()
        page = rows[: int(limit)]
        cursor = f'"{_cursor(page[-1][0])}"' if len(rows) > len(page) else "null"
        return json_response(f'{{"items":[{",".join(row[1] for row in page)}],"next":{cursor}}}'.encode())

    def _chosen(self, texts: list[str]) -> web.Response:
        if len(texts) > MAX_NUMBERS:
            return _error(400, f"at most {MAX_NUMBERS} personnel numbers at once.")
        numbers = [number for text in texts if (number := _number(text.strip())) is not None]
        marks = ",".join("?" * len(numbers))
        rows = self._company.execute(
            f"SELECT document FROM hr_employee WHERE number IN ({marks}) ORDER BY number",
            numbers,
        ).fetchall()
        return json_response(f'{{"items":[{",".join(row[0] for row in rows)}],"next":null}}'.encode())


def _error(status: int, message: str) -> web.Response:
    return json_response(
        {"error": {"code": _CODES.get(status, "BAD_REQUEST"), "message": message}}, status=status
    )


def _number(text: str) -> int | None:
    """Personnel numbers are digits without leading zeros."""
    if text.isascii() and text.isdigit() and len(text) <= 12 and text[0] != "0":
        return int(text)
    return None


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(f"after:{number}".encode()).decode().rstrip("=")


def _after(cursor: str) -> int | None:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    word, _, number = text.partition(":")
    return _number(number) if word == "after" else None
