"""A typed client of Okno for internal tools: copy it, and keep what you need. Python 3.11 and aiohttp.

OKNO_URL=http://localhost:8000 OKNO_TOKEN=… python okno_client.py ivan.petrov
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import aiohttp

ATTEMPTS = 3


class OknoError(Exception):
    """The request failed as a whole, or a part of it did: `code` is stable, `request_id` finds it in Okno's log."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        first = errors[0]
        extensions = first.get("extensions", {})
        self.code: str = extensions.get("code", "INTERNAL")
        self.request_id: str | None = extensions.get("requestId")
        super().__init__(f"{self.code}: {first['message']}")


@dataclass(frozen=True)
class UserError:
    """What the one who asked can mend, or has to know."""

    code: str
    message: str
    field: str | None


class OperationRefused(Exception):
    """An operation was not begun, or the system refused it: nothing was changed."""

    def __init__(self, errors: list[UserError]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{error.code}: {error.message}" for error in errors))


@dataclass(frozen=True)
class Employee:
    """Who somebody is, and the state of the account; None is what you may not read."""

    id: str
    name: str | None
    login: str | None
    domain_state: str
    locked: bool | None


@dataclass(frozen=True)
class Change:
    """One line of a preview."""

    title: str
    before: object
    after: object


@dataclass(frozen=True)
class Preview:
    """What an operation would change, and the token with which exactly that is run within 10 minutes."""

    operation: str
    employee_id: str
    changes: list[Change]
    token: str


@dataclass(frozen=True)
class Result:
    """How a run ended. UNKNOWN: it was sent and the answer is missing; Okno will look, do not repeat it with a new key."""

    outcome: str
    replayed: bool


class Okno:
    """The API in the name of a token's holder. One for each process; it keeps its connections."""

    def __init__(self, url: str, token: str, *, client: str = "okno-client-py/1.0") -> None:
        self._endpoint = f"{url}/graphql"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/graphql-response+json",
            "X-Okno-Client": client,
        }

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """Runs one document and gives its data. Tries again when that is safe: nothing arrived, or nothing was done.

        Raises:
            OknoError: the answer has errors.
            aiohttp.ClientError: Okno cannot be reached.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._session.post(
                    self._endpoint, json={"query": document, "variables": variables}
                ) as response:
                    body = await response.json(content_type=None)
            except aiohttp.ClientConnectionError:
                # a mutation may be sent again because it carries its idempotency key
                if attempt == ATTEMPTS:
                    raise
            else:
                if not body.get("errors"):
                    data: dict[str, Any] = body["data"]
                    return data
                error = OknoError(body["errors"])
                if error.code != "UNAVAILABLE" or attempt == ATTEMPTS:
                    raise error
            await asyncio.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    async def find(self, text: str) -> Employee | None:
        """The best match among those whom you may know of."""
        document = """query Find($text: String!) {
            employees(search: $text, first: 1) { edges { node {
              id displayName login domain { meta { state } locked } } } } }"""
        data = await self.execute(document, text=text)
        nodes = [edge["node"] for edge in data["employees"]["edges"]]
        if not nodes:
            return None
        domain = nodes[0]["domain"]
        return Employee(
            nodes[0]["id"],
            nodes[0]["displayName"],
            nodes[0]["login"],
            domain["meta"]["state"],
            domain["locked"],
        )

    async def employees(self, page_size: int = 100) -> AsyncIterator[list[dict[str, Any]]]:
        """All employees, page by page."""
        document = """query Page($first: Int!, $after: String) {
            employees(first: $first, after: $after) {
              edges { node { id displayName } } pageInfo { hasNextPage endCursor } } }"""
        after: str | None = None
        while True:
            data = await self.execute(document, first=page_size, after=after)
            page = data["employees"]
            yield [edge["node"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    async def preview(self, operation: str, employee_id: str) -> Preview:
        """What the operation would change now.

        Raises:
            OperationRefused: you may not, there is nothing to change, or the system does not answer.
        """
        document = """mutation Preview($input: OperationPreviewInput!) { operationPreview(input: $input) {
            changes { title before after } previewToken errors { code message field } } }"""
        command = {"operation": operation, "employee": employee_id, "idempotencyKey": str(uuid4())}
        payload = (await self.execute(document, input=command))["operationPreview"]
        if payload["previewToken"] is None:
            raise OperationRefused([UserError(**error) for error in payload["errors"]])
        changes = [Change(each["title"]["en"], each["before"], each["after"]) for each in payload["changes"]]
        return Preview(operation, employee_id, changes, payload["previewToken"])

    async def run(self, preview: Preview, *, key: str) -> Result:
        """Does what was previewed. The same key never does it twice: the first result comes back.

        Raises:
            OperationRefused: nothing was changed; PREVIEW_CHANGED means that you have to look again.
        """
        document = """mutation Run($input: OperationRunInput!) { operationRun(input: $input) {
            outcome replayed errors { code message field } } }"""
        command = {
            "operation": preview.operation,
            "employee": preview.employee_id,
            "previewToken": preview.token,
            "idempotencyKey": key,
        }
        payload = (await self.execute(document, input=command))["operationRun"]
        if payload["outcome"] in (None, "FAILED"):
            raise OperationRefused([UserError(**error) for error in payload["errors"]])
        return Result(payload["outcome"], payload["replayed"])


async def main(text: str) -> None:
    """Finds somebody, unlocks the account, and reads a list."""
    async with Okno(os.environ["OKNO_URL"], os.environ["OKNO_TOKEN"]) as okno:
        employee = await okno.find(text)
        if employee is None:
            sys.exit(f"nobody is found by {text}")
        print(employee.name)
        print(f"domain: {employee.domain_state}, locked: {employee.locked}")

        preview = await okno.preview("domain.unlock", employee.id)
        for change in preview.changes:
            print(f"{change.title}: {change.before} -> {change.after}")
        key = str(uuid4())
        for _ in range(2):
            result = await okno.run(preview, key=key)
            print(f"{result.outcome}, replayed: {result.replayed}")
        try:
            await okno.preview("domain.unlock", employee.id)
        except OperationRefused as refused:
            print(refused)

        pages = [page async for page in okno.employees()]
        print(f"{sum(map(len, pages))} employees on {len(pages)} pages")
        try:
            await okno.execute('{ employee(id: "nonsense") { displayName } }')
        except OknoError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
