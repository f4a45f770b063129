"""Settings of one deployment: `config/okno.toml`, then environment variables on top.

An unknown key, a wrong type or a missing secret stops the start with an error that names the key.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from okno.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Section):
    """Where the API and the web application are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: str | None = Field(
        default=None, description="Origin seen by browsers; by default http://localhost:<port>"
    )

    @field_validator("public_url")
    @classmethod
    def _as_browsers_write_it(cls, value: str | None) -> str | None:
        """Cookies, origins and the address for the identity provider follow from it: half an address would weaken them."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
            raise ValueError("has to be an origin, such as https://okno.example.com")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"


class DatabaseSettings(_Section):
    """Okno's own PostgreSQL. Without `url` an embedded server under the data folder is used."""

    url: str | None = Field(
        default=None, repr=False, description="postgresql://… of the owner of the schema; runs migrations"
    )
    app_url: str | None = Field(
        default=None,
        repr=False,
        description="postgresql://… of the running application; by default `url` with role okno_app",
    )
    pool_size: int = Field(default=10, ge=1, le=200)


class OidcSettings(_Section):
    """An OpenID Connect provider. Groups decide the teams, see config/roles/."""

    issuer: str
    client_id: str
    client_secret: str = Field(description="reference: env:NAME or file:PATH")
    login_claim: str = "preferred_username"
    groups_claim: str = "groups"
    scopes: tuple[str, ...] = ("openid", "profile", "email")


class IdentitySettings(_Section):
    """Sign-in and sessions."""

    oidc: OidcSettings | None = None
    session_idle_seconds: int = Field(default=8 * 3600, ge=60)
    session_lifetime_seconds: int = Field(default=24 * 3600, ge=60)
    session_rotate_seconds: int = Field(default=900, ge=60)


class AuditSettings(_Section):
    """The journal."""

    group_commit_milliseconds: int = Field(default=2, ge=0, le=1000)


class GraphqlSettings(_Section):
    """What one request to /graphql may ask for. Trusted documents are held to `cost` and `trusted_cost` only.

    The defaults let pass what Relay, Apollo and GraphiQL send, and keep the reading of the worst document that fits in
    them below 50 ms (docs/adr/0011). Each number is the greatest that is allowed.
    """

    body_bytes: int = Field(default=256 * 1024, ge=1024, description="bytes of the body")
    values: int = Field(
        default=5_000, ge=10, description="values of JSON in the body, at any depth, keys not counted"
    )
    value_depth: int = Field(
        default=20, ge=3, le=100, description="how deep lists and objects nest, in JSON or as literals"
    )
    batch: int = Field(default=20, ge=1, description="operations in one body")
    characters: int = Field(default=20_000, ge=100, description="characters of a document")
    tokens: int = Field(default=1_000, ge=10, description="tokens of the documents of one request together")
    operations: int = Field(default=10, ge=1, description="operations in one document")
    fragments: int = Field(default=50, ge=0, description="fragments in one document")
    variables: int = Field(default=50, ge=0, description="variables of one operation")
    digits: int = Field(default=40, ge=19, le=4_000, description="characters of a number in a document")
    depth: int = Field(
        default=15, ge=1, le=100, description="how deep fields nest; GraphiQL's introspection needs 15"
    )
    aliases: int = Field(default=15, ge=0, description="aliases of one operation, fragments spread")
    directives: int = Field(default=50, ge=0, description="directives of one operation, fragments spread")
    selections: int = Field(default=2_000, ge=10, description="fields of one document, fragments spread")
    repeats: int = Field(
        default=1_000,
        ge=10,
        description="pairs of fields with one response name at one place; validation compares each pair",
    )
    cost: int = Field(
        default=5_000, ge=1, description="points that the operations of one request may ask for"
    )
    trusted_cost: int = Field(
        default=5_000, ge=1, description="points that a trusted document may ask for at its most"
    )


class UsageSettings(_Section):
    """What clients use of the schema."""

    keep_days: int = Field(default=90, ge=1, le=3650)


class SandboxSettings(_Section):
    """The generated demo company and its simulated systems."""

    enabled: bool = True
    employees: int = Field(default=50_000, ge=50, le=2_000_000)
    seed: int = 20261101


class Settings(_Section):
    """All settings. Paths are absolute once loaded."""

    mode: Literal["development", "production"] = "production"
    data_dir: Path = Path(".okno")
    config_dir: Path = Path("config")
    policies_dir: Path = Path("policies")
    widgets_dir: Path = Path("widgets")
    frontend_dir: Path = Path("frontend/dist")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http: HttpSettings = HttpSettings()
    database: DatabaseSettings = DatabaseSettings()
    identity: IdentitySettings = IdentitySettings()
    audit: AuditSettings = AuditSettings()
    graphql: GraphqlSettings = GraphqlSettings()
    usage: UsageSettings = UsageSettings()
    sandbox: SandboxSettings = SandboxSettings()

    @property
    def public_url(self) -> str:
        return self.http.public_url or f"http://localhost:{self.http.port}"


# variable -> path of the key in okno.toml
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "OKNO_MODE": ("mode",),
    "OKNO_DATA_DIR": ("data_dir",),
    "OKNO_CONFIG_DIR": ("config_dir",),
    "OKNO_POLICIES_DIR": ("policies_dir",),
    "OKNO_WIDGETS_DIR": ("widgets_dir",),
    "OKNO_FRONTEND_DIR": ("frontend_dir",),
    "OKNO_LOG_LEVEL": ("log_level",),
    "HOST": ("http", "host"),
    "PORT": ("http", "port"),
    "OKNO_PUBLIC_URL": ("http", "public_url"),
    "DATABASE_URL": ("database", "url"),
    "OKNO_APP_DATABASE_URL": ("database", "app_url"),
    "OKNO_SANDBOX": ("sandbox", "enabled"),
    "OKNO_SANDBOX_EMPLOYEES": ("sandbox", "employees"),
    "OKNO_OIDC_ISSUER": ("identity", "oidc", "issuer"),
    "OKNO_OIDC_CLIENT_ID": ("identity", "oidc", "client_id"),
    "OKNO_OIDC_CLIENT_SECRET": ("identity", "oidc", "client_secret"),
}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings of this process.

    Raises:
        ConfigurationError: a key is unknown or has a wrong value; the message lists every one with its place.
    """
    env = os.environ if environment is None else environment
    config_dir = Path(env.get("OKNO_CONFIG_DIR") or "config")
    file = config_dir / "okno.toml"
    raw: dict[str, Any] = {}
    if file.exists():
        try:
            raw = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file} is not valid TOML: {error}") from error
    origin = {}
    for variable, path in ENVIRONMENT.items():
        if (value := env.get(variable)) not in (None, ""):
            _put(raw, path, value)
            origin[path] = variable
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            path = tuple(str(part) for part in problem["loc"])
            place = (
                f"environment variable {origin[path]}" if path in origin else f"{file}, key {'.'.join(path)}"
            )
            lines.append(f"{place}: {problem['msg']}")
        raise ConfigurationError("Settings are wrong:\n  " + "\n  ".join(lines)) from error
    absolute = {
        name: getattr(settings, name).expanduser().resolve()
        for name in ("data_dir", "config_dir", "policies_dir", "widgets_dir", "frontend_dir")
    }
    return settings.model_copy(update={**absolute, "config_dir": config_dir.expanduser().resolve()})


def read_secret(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """Resolves `env:NAME` or `file:PATH` to the secret itself. Secrets stand nowhere else.

    Raises:
        ConfigurationError: the reference has another form, or what it names is missing. The message names the reference only.
    """
    env = os.environ if environment is None else environment
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        if value := env.get(name):
            return value
        raise ConfigurationError(f"secret {reference}: the environment variable {name} is not set")
    if scheme == "file" and name:
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"secret {reference}: cannot read the file ({error.strerror})"
            ) from error
    raise ConfigurationError("a secret is given as env:NAME or file:PATH, never as its value")


def _put(raw: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for part in path[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise ConfigurationError(f"key {'.'.join(path)} is not in a table in okno.toml")
    raw[path[-1]] = value
