"""Which media type the client wants, as RFC 9110 section 12.5.1 has it."""

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"


# Nothing that speaks HTTP sends more, and the server itself does not bound its headers
LONGEST = 1_000


def negotiate(accept: str | None) -> str | None:
    """The best of the two types that this API speaks; None when the client takes neither, or says so at too great a length.

    A client that does not care gets application/json, as "GraphQL over HTTP" asks for clients from before 2025.
    """
    return None if accept is not None and len(accept) > LONGEST else _negotiate(accept)


@lru_cache(maxsize=256)  # clients send a handful of different ones
def _negotiate(accept: str | None) -> str | None:
    if not accept or not accept.strip():
        return JSON
    wanted = _parse(accept)
    json, graphql_json = _quality(JSON, wanted), _quality(GRAPHQL_JSON, wanted)
    if graphql_json > json or (graphql_json == json > 0 and GRAPHQL_JSON in wanted):
        return GRAPHQL_JSON
    return JSON if json > 0 else None


def is_json(content_type: str | None) -> bool:
    """Whether a body is JSON in UTF-8, the only encoding that JSON has (RFC 8259 section 8.1)."""
    return content_type is not None and len(content_type) <= LONGEST and _is_json(content_type)


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [
        value.strip('" ')
        for name, _, value in (each.partition("=") for each in parameters)
        if name == "charset"
    ]
    return media_type == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)


def accepts_events(accept: str | None) -> bool:
    """Whether the client names server-sent events; one that takes anything does not mean them."""
    return accept is not None and len(accept) <= LONGEST and _accepts_events(accept)


@lru_cache(maxsize=256)
def _accepts_events(accept: str) -> bool:
    return _parse(accept).get(EVENT_STREAM, 0.0) > 0


def prefers_html(accept: str | None) -> bool:
    """Whether a browser asks for a page: it names text/html, and before JSON."""
    wanted = _parse((accept or "")[:LONGEST])
    html = wanted.get(HTML, 0.0)
    return html > 0 and html >= max(wanted.get(JSON, 0.0), wanted.get(GRAPHQL_JSON, 0.0))


def _parse(accept: str) -> dict[str, float]:
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if media_type:
            wanted[media_type] = quality
    return wanted


def _quality(media_type: str, wanted: dict[str, float]) -> float:
    for pattern in (media_type, "application/*", "*/*"):
        if pattern in wanted:
            return wanted[pattern]
    return 0.0
