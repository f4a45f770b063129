"""The SCIM simulator against RFC 7643 and 7644, spoken to by an independent client; scim2-models checks what it sends."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from scim2_models import (
    EnterpriseUser,
    Group,
    ListResponse,
    ResourceType,
    Schema,
    ServiceProviderConfig,
    User,
)

from okno.sandbox.company import generate
from okno.sandbox.runner import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    company: Path = tmp_path_factory.mktemp("sandbox") / "company.sqlite"
    generate(5, 120, company, date(2026, 11, 2), lambda done, total: None)
    async with Sandbox(company, private=False) as running:
        yield running


class Client:
    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any, Any]:
        headers = {"Content-Type": "application/scim+json", **options.pop("headers", {})}
        async with self.session.request(
            method, self.base + path, json=body, headers=headers, **options
        ) as response:
            text = await response.read()
            if text:
                assert response.content_type == "application/scim+json"
            return response.status, await response.json(content_type=None) if text else None, response.headers

    async def get(self, path: str, **parameters: Any) -> Any:
        status, body, _ = await self.send("GET", path, params=parameters)
        assert status == 200, body
        return body

    async def find(self, condition: str, kind: str = "Users") -> list[str]:
        page = await self.get(f"/{kind}", filter=condition, count="1000")
        return [each["userName" if kind == "Users" else "displayName"] for each in page["Resources"]]


@pytest_asyncio.fixture(loop_scope="module")
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    environment = sandbox.environment()
    headers = {"Authorization": f"Bearer {environment['OKNO_DIRECTORY_TOKEN']}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Client(session, environment["OKNO_DIRECTORY_URL"])


async def ivan(client: Client) -> Any:
    return (await client.get("/Users", filter='userName eq "ivan.petrov"'))["Resources"][0]


async def test_resources_and_discovery_are_what_the_standard_models_accept(client: Client) -> None:
    users = await client.get("/Users", count="120")
    parsed = ListResponse[User[EnterpriseUser]].model_validate(users)
    assert parsed.total_results == 120
    groups = await client.get("/Groups", count="5")
    assert ListResponse[Group].model_validate(groups).items_per_page == 5
    ServiceProviderConfig.model_validate(await client.get("/ServiceProviderConfig"))
    schemas = ListResponse[Schema].model_validate(await client.get("/Schemas"))
    assert schemas.total_results == 3
    assert (await client.get(f"/Schemas/{CORE}"))["name"] == "User"
    types = ListResponse[ResourceType].model_validate(await client.get("/ResourceTypes"))
    assert types.total_results == 2


async def test_a_user_carries_groups_manager_and_meta(client: Client) -> None:
    user = await ivan(client)
    assert (user["externalId"], user["displayName"], user["active"]) == ("100010", "Иван Петров", True)
    assert "Payments" in [each["display"] for each in user["groups"]]
    assert user[ENTERPRISE]["manager"]["displayName"] == "Алексей Громов"
    assert user["meta"]["location"].endswith(f"/scim/v2/Users/{user['id']}")
    _, same, headers = await client.send("GET", f"/Users/{user['id']}")
    assert same == user
    assert headers["ETag"] == user["meta"]["version"]
    status, _, _ = await client.send(
        "GET", f"/Users/{user['id']}", headers={"If-None-Match": headers["ETag"]}
    )
    assert status == 304


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('userName eq "IVAN.petrov"', ["ivan.petrov"]),
        ('externalId eq "100012"', ["amina.okafor"]),
        ('emails eq "Ivan.Petrov@okno.example"', ["ivan.petrov"]),
        ('emails[type eq "work" and value sw "ivan.petrov@"]', ["ivan.petrov"]),
        ('userName sw "ivan.pe" and active eq true', ["ivan.petrov"]),
        ('name.familyName eq "ОКАФОР" or userName eq "joao.silva"', ["joao.silva"]),
        ('displayName ew "максим егоров"', ["maxim.egorov"]),
        ('active eq false and externalId eq "100013"', ["dastan.akhmetov"]),
        (f'{ENTERPRISE}:employeeNumber eq "100014"', ["maximiliana.konstantinopolskaya"]),
        (
            f'{ENTERPRISE}:manager.displayName eq "Алексей Громов" and userName co ".ivanova"',
            ["olga.ivanova"],
        ),
        ('userName eq "a\\" or 1 eq 1 --"', []),
        ("not (title pr)", []),
    ],
)
async def test_filters_find_whom_they_mean(client: Client, condition: str, found: list[str]) -> None:
    assert await client.find(condition) == found


async def test_groups_are_found_by_their_members_and_people_by_their_groups(client: Client) -> None:
    user = await ivan(client)
    names = await client.find(f'members.value eq "{user["id"]}"', "Groups")
    assert names == [each["display"] for each in user["groups"]]
    assert "ivan.petrov" in await client.find('groups.display eq "payments" and groups.value pr')


async def test_paging_counts_from_one_and_is_complete(client: Client) -> None:
    first = await client.get("/Users", startIndex="0", count="50")
    assert (first["startIndex"], first["itemsPerPage"], first["totalResults"]) == (1, 50, 120)
    last = await client.get("/Users", startIndex="101", count="50")
    assert last["itemsPerPage"] == 20
    assert (await client.get("/Users", startIndex="500"))["Resources"] == []
    assert (await client.get("/Users", count="0"))["totalResults"] == 120
    ordered = await client.get("/Users", sortBy="userName", sortOrder="descending", count="1000")
    names = [each["userName"] for each in ordered["Resources"]]
    assert names == sorted(names, reverse=True)


async def test_only_what_is_asked_is_returned(client: Client) -> None:
    page = await client.get("/Users", attributes="userName,emails.value", filter='userName eq "ivan.petrov"')
    assert set(page["Resources"][0]) == {"schemas", "id", "userName", "emails"}
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "excludedAttributes": ["groups", "name"],
        "count": 1,
    }
    status, page, _ = await client.send("POST", "/Users/.search", body)
    assert status == 200
    assert not {"groups", "name"} & set(page["Resources"][0])


async def test_a_patch_is_kept_and_changes_version_and_time(client: Client) -> None:
    before = (await client.get("/Users", filter='userName eq "pavel.zaitsev"'))["Resources"][0]
    operations = [
        {"op": "replace", "path": "title", "value": "Главный специалист"},
        {"op": "replace", "path": 'phoneNumbers[type eq "work"].value', "value": "+74957390000"},
        {"op": "add", "path": f"{ENTERPRISE}:costCenter", "value": "42"},
    ]
    body = {"schemas": [PATCH], "Operations": operations}
    status, after, headers = await client.send("PATCH", f"/Users/{before['id']}", body)
    assert status == 200
    assert (after["title"], after["phoneNumbers"][0]["value"]) == ("Главный специалист", "+74957390000")
    assert after["meta"]["version"] == headers["ETag"] == 'W/"2"'
    assert after["meta"]["lastModified"] > before["meta"]["lastModified"]
    assert await client.get(f"/Users/{before['id']}") == after
    _, same, _ = await client.send("PATCH", f"/Users/{before['id']}", body)
    assert same["meta"]["version"] == 'W/"2"', "a patch that changes nothing is no new version"
    status, error, _ = await client.send(
        "PATCH", f"/Users/{before['id']}", body, headers={"If-Match": 'W/"1"'}
    )
    assert (status, error["schemas"]) == (412, [ERROR])


async def test_group_membership_is_patched_and_seen_from_both_sides(client: Client) -> None:
    user = await ivan(client)
    group = (await client.get("/Groups", filter='displayName eq "contracts"'))["Resources"][0]
    add = {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": user["id"]}]}],
    }
    status, after, _ = await client.send("PATCH", f"/Groups/{group['id']}", add)
    assert status == 200
    assert user["id"] in [each["value"] for each in after["members"]]
    assert "Contracts" in [each["display"] for each in (await ivan(client))["groups"]]
    remove = {
        "schemas": [PATCH],
        "Operations": [{"op": "remove", "path": f'members[value eq "{user["id"]}"]'}],
    }
    await client.send("PATCH", f"/Groups/{group['id']}", remove)
    assert "Contracts" not in [each["display"] for each in (await ivan(client))["groups"]]
    wrong = {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": "nobody"}]}],
    }
    status, error, _ = await client.send("PATCH", f"/Groups/{group['id']}", wrong)
    assert (status, error["scimType"]) == (400, "invalidValue")


async def test_a_user_is_created_replaced_and_deleted(client: Client) -> None:
    body = {
        "schemas": [CORE],
        "userName": "new.person",
        "externalId": "900001",
        "emails": [{"value": "new@okno.example"}],
    }
    status, user, headers = await client.send("POST", "/Users", body)
    assert status == 201
    assert headers["Location"] == user["meta"]["location"]
    assert await client.find('emails.value eq "NEW@okno.example"') == ["new.person"]
    status, error, _ = await client.send("POST", "/Users", {**body, "userName": "New.Person"})
    assert (status, error["scimType"]) == (409, "uniqueness")
    status, replaced, _ = await client.send(
        "PUT", f"/Users/{user['id']}", {"schemas": [CORE], "userName": "new.name", "id": "mine"}
    )
    assert (status, replaced["userName"], replaced["id"], "emails" in replaced) == (
        200,
        "new.name",
        user["id"],
        False,
    )
    status, _, _ = await client.send("DELETE", f"/Users/{user['id']}")
    assert status == 204
    status, error, _ = await client.send("GET", f"/Users/{user['id']}")
    assert (status, error["status"]) == (404, "404")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "scim_type"),
    [
        ("GET", "/Users?filter=userName%20is%203", None, 400, "invalidFilter"),
        ("GET", "/Users?filter=shoeSize%20eq%203", None, 400, "invalidFilter"),
        ("GET", "/Users?count=many", None, 400, "invalidValue"),
        ("GET", "/Users/none", None, 404, None),
        ("GET", "/Persons", None, 404, None),
        ("DELETE", "/Users", None, 405, None),
        ("POST", "/Users", {"schemas": [CORE]}, 400, "invalidValue"),
        ("POST", "/Users", {"userName": 5}, 400, "invalidValue"),
        ("POST", "/Users", [], 400, "invalidSyntax"),
        ("PATCH", "/Users/none", {"schemas": [PATCH], "Operations": []}, 404, None),
        ("GET", "/Schemas?filter=id%20pr", None, 403, None),
    ],
)
async def test_errors_have_the_standard_form(
    client: Client, method: str, path: str, body: Any, status: int, scim_type: str | None
) -> None:
    answered, error, _ = await client.send(method, path, body)
    assert answered == status
    assert error["schemas"] == [ERROR]
    assert error["status"] == str(status)
    assert error.get("scimType") == scim_type


async def test_a_body_that_is_no_json_or_of_another_type_is_refused(client: Client) -> None:
    headers = {"Content-Type": "application/scim+json"}
    async with client.session.post(f"{client.base}/Users", data=b"{", headers=headers) as response:
        assert response.status == 400
        assert (await response.json(content_type=None))["scimType"] == "invalidSyntax"
    async with client.session.post(
        f"{client.base}/Users", data=b"{}", headers={"Content-Type": "text/plain"}
    ) as response:
        assert response.status == 415


async def test_a_refused_write_changes_nothing_and_a_halved_one_is_done(
    client: Client, sandbox: Sandbox
) -> None:
    user = (await client.get("/Users", filter='userName eq "vera.lis"'))["Resources"][0]
    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "Новая"}]}
    await sandbox.fault("directory", error_rate=1)
    status, error, _ = await client.send("PATCH", f"/Users/{user['id']}", body)
    assert (status, error["schemas"]) == (503, [ERROR])
    await sandbox.clear("directory")
    assert (await client.get(f"/Users/{user['id']}"))["title"] == user["title"]
    await sandbox.fault("directory", half=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.send("PATCH", f"/Users/{user['id']}", body)
    await sandbox.clear("directory")
    assert (await client.get(f"/Users/{user['id']}"))["title"] == "Новая"
