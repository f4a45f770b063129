"""What the server says of itself: ServiceProviderConfig, Schemas, ResourceTypes (RFC 7643, 5–7)."""

from typing import Any

from okno.sandbox.scim.schema import documents, resource_schemas

_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def document(path: str, base: str) -> dict[str, Any] | None:
    """The answer to `path` (below the prefix), or None when there is no such resource."""
    kind, _, identifier = path.partition("/")
    if kind == "ServiceProviderConfig":
        return _config(base)
    resources = _types(base) if kind == "ResourceTypes" else _schemas(base)
    if identifier:
        return next((each for each in resources if each["id"] == identifier), None)
    return {
        "schemas": [_LIST],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }


def _config(base: str) -> dict[str, Any]:
    return {
        "schemas": [_CONFIG],
        "documentationUri": f"{base}/Schemas",
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": 1000},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token in the Authorization header",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def _types(base: str) -> list[dict[str, Any]]:
    result = []
    for endpoint, schema in resource_schemas().items():
        resource: dict[str, Any] = {
            "schemas": [_TYPE],
            "id": schema.name,
            "name": schema.name,
            "description": schema.name,
            "endpoint": f"/{endpoint}",
            "schema": schema.core,
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{schema.name}"},
        }
        if schema.extensions:
            resource["schemaExtensions"] = [{"schema": uri, "required": False} for uri in schema.extensions]
        result.append(resource)
    return result


def _schemas(base: str) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "schemas": [_SCHEMA],
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{each['id']}"},
        }
        for each in documents()
    ]
