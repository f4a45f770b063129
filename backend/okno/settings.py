"""Settings of one deployment: `config/okno.toml`, then environment variables on top.

An unknown key, a wrong type or a missing secret stops the start with an error that names the key.
"""

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.networks import IPvAnyNetwork

from okno.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


# An environment variable carries the list as one text
Networks = Annotated[
    tuple[IPvAnyNetwork, ...],
    BeforeValidator(lambda value: value.replace(",", " ").split() if isinstance(value, str) else value),
]
PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Section):
    """Where the API and the web application are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: str | None = Field(
        default=None, description="Origin seen by browsers; by default http://localhost:<port>"
    )
    plain_localhost: bool = Field(
        default=False, description="let production be served over plain http on this very machine, to try it"
    )
    trusted_proxies: Networks = Field(
        default=(), description="networks of the proxies whose X-Forwarded-For tells the client's address"
    )
    headers_seconds: float = Field(default=10, gt=0, description="until all headers of a request are there")
    body_seconds: float = Field(default=30, gt=0, description="until its whole body is there")
    body_bytes: int = Field(default=1024 * 1024, ge=4096, description="bytes of a body, on any route")
    connections_per_address: int = Field(
        default=1000,
        ge=1,
        description="open at a time, in each process; those of trusted_proxies are not counted",
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
    second_factor_amr: tuple[str, ...] = Field(
        default=("mfa",),
        description="values of the claim amr (RFC 8176), any of which says that a second factor was proven",
    )
    second_factor_acr: tuple[str, ...] = Field(
        default=(), description="likewise of the claim acr; asked for, in this order, when a person steps up"
    )


class IdentitySettings(_Section):
    """Sign-in and sessions."""

    oidc: OidcSettings | None = None
    session_idle_seconds: int = Field(default=8 * 3600, ge=60)
    session_lifetime_seconds: int = Field(default=24 * 3600, ge=60)
    session_rotate_seconds: int = Field(default=900, ge=60)
    second_factor_minutes: int = Field(
        default=15, ge=1, le=720, description="how long a proven second factor counts as fresh"
    )


class AuditExportSettings(_Section):
    """A continuous export of the journal, sent by the worker: `[audit.export.NAME]` (docs/adr/0021)."""

    format: Literal["jsonl", "ocsf", "cef"] = Field(
        description="JSON Lines in Okno's own words, OCSF 1.8, or CEF"
    )
    to: str = Field(
        description="file:PATH below the data folder, tls://HOST:PORT of a syslog server, or tcp://localhost:PORT"
    )
    personal: bool = Field(default=False, description="names, labels and details go out too")
    begin: Literal["beginning", "now"] = Field(
        default="beginning", description="where to begin when the export is new"
    )
    ca: Path | None = Field(
        default=None,
        description="certificates to trust (PEM) below the configuration; by default the system's",
    )
    certificate: Path | None = Field(default=None, description="Okno's own certificate (PEM)")
    key: Path | None = Field(default=None, description="its key (PEM), if it is not in the same file")
    server_name: str | None = Field(
        default=None, description="the name in the server's certificate; by default HOST"
    )
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    message_bytes: int = Field(default=8192, ge=2048, description="the longest syslog message")
    file_bytes: int = Field(
        default=64 * 1024 * 1024, ge=4096, description="of a file before a new one is begun"
    )
    files: int = Field(default=10, ge=1, le=10_000, description="full files to keep")
    batch: int = Field(default=500, ge=1, le=5000, description="records sent at a time")


class S3Settings(_Section):
    """A bucket of an S3-compatible store: the second place of the journal's checkpoints (docs/adr/0020)."""

    endpoint: str = Field(
        description="such as https://s3.eu-central-1.amazonaws.com; the bucket stands in the path"
    )
    bucket: str
    prefix: str = Field(default="okno/checkpoints/", description="what the names of the objects begin with")
    region: str = "us-east-1"
    access_key: str = Field(description="reference: env:NAME or file:PATH")
    secret_key: str = Field(description="reference: env:NAME or file:PATH")


class AuditSettings(_Section):
    """The journal."""

    keep_days: int | None = Field(
        default=None, ge=31, description="days after which records are cut off, by month; by default never"
    )
    archive: bool = Field(
        default=True, description="what is cut off is kept in a file below the data folder, in audit/archive/"
    )
    s3: S3Settings | None = None
    group_commit_milliseconds: int = Field(default=2, ge=0, le=1000)
    export: dict[str, AuditExportSettings] = Field(default={}, description="continuous exports, by name")


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


class LimitSettings(_Section):
    """How often one may ask, counted over all API processes (docs/adr/0022). Each number is the greatest that is allowed in
    a minute; it may also come all at once. Behind one address there may be a whole office."""

    enabled: bool = Field(default=True, description="false only where a gateway before Okno does the same")
    address_per_minute: int = Field(default=12_000, ge=1, description="requests of any kind from one address")
    person_per_minute: int = Field(default=6_000, ge=1, description="operations of a person")
    service_per_minute: int = Field(default=30_000, ge=1, description="operations of a service principal")
    writes_per_minute: int = Field(default=600, ge=1, description="mutations of one actor")
    sign_ins_per_minute: int = Field(default=120, ge=1, description="sign-ins begun from one address")
    bad_tokens_per_minute: int = Field(
        default=60, ge=1, description="tokens shown from one address that are none"
    )
    socket_messages_per_minute: int = Field(default=1_200, ge=10, description="messages on one WebSocket")
    free_failures: int = Field(default=3, ge=0, description="failed sign-ins before one has to wait")
    lock_after: int = Field(default=10, ge=1, description="failed sign-ins that lock login and address")
    lock_seconds: int = Field(default=900, ge=1, le=86_400, description="how long they stay locked")


class NetworkSettings(_Section):
    """Where Okno itself connects to: sources, the identity provider, sinks of the journal."""

    allow: Networks | None = Field(
        default=None,
        description="private networks with systems of yours, such as 10.20.0.0/16; in development all, in production none",
    )


class UsageSettings(_Section):
    """What clients use of the schema."""

    keep_days: int = Field(default=90, ge=1, le=3650)


class DecisionsSettings(_Section):
    """The record of what the policy decided, which `okno policy replay` reads."""

    keep_days: int = Field(default=90, ge=1, le=3650)


class RetentionSettings(_Section):
    """How many days each kind of personal data stays. Sessions, usage and the journal have settings of their own."""

    tokens_days: int = Field(
        default=90, ge=1, le=36_500, description="what is known of a token after it expired or was revoked"
    )
    accounts_days: int = Field(
        default=730, ge=1, le=36_500, description="an account that nobody used, without sessions and tokens"
    )
    vanished_people_days: int = Field(
        default=365, ge=1, le=36_500, description="an employee in the index whom HR lists no longer"
    )
    erased_deeds_days: int = Field(
        default=365,
        ge=0,
        le=36_500,
        description="values of records of what an erased person did to others, who may ask for them",
    )


class PrivacySettings(_Section):
    """Whose data may be copied here, and for how long it stays."""

    residency: tuple[str, ...] | None = Field(
        default=None,
        description="countries (ISO 3166-1 alpha-2) whose people's data the index may copy; by default all. Of the others "
        "it holds the personnel number, country, state and protection only; cards read the rest live",
    )
    retention: RetentionSettings = RetentionSettings()

    @field_validator("residency")
    @classmethod
    def _countries(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if wrong := [
            each for each in value or () if not (len(each) == 2 and each.isascii() and each.isupper())
        ]:
            raise ValueError(f"{', '.join(wrong)}: a country has two capital letters, such as KZ")
        return value


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
    limits: LimitSettings = LimitSettings()
    network: NetworkSettings = NetworkSettings()
    usage: UsageSettings = UsageSettings()
    decisions: DecisionsSettings = DecisionsSettings()
    privacy: PrivacySettings = PrivacySettings()
    sandbox: SandboxSettings = SandboxSettings()

    @property
    def public_url(self) -> str:
        return self.http.public_url or f"http://localhost:{self.http.port}"

    @property
    def allowed_networks(self) -> tuple[IPvAnyNetwork, ...]:
        """Networks within the private ranges that Okno may connect to."""
        if self.network.allow is not None:
            return self.network.allow
        names = PRIVATE_NETWORKS if self.mode == "development" else ()
        return tuple(ip_network(name) for name in names)

    def check_serving(self) -> None:
        """To be called before anything is served.

        Raises:
            ConfigurationError: cookies and tokens of production would travel in the clear.
        """
        url = urlsplit(self.public_url)
        if self.mode != "production" or url.scheme == "https":
            return
        if self.http.plain_localhost and is_loopback(url.hostname or ""):
            return
        raise ConfigurationError(
            f"http.public_url is {self.public_url}: in production browsers must come by https. Set OKNO_PUBLIC_URL=https://…; "
            "to try production on this machine alone, set OKNO_PLAIN_LOCALHOST=true with a public URL on localhost; for "
            "work on Okno itself, OKNO_MODE=development"
        )


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
    "OKNO_PLAIN_LOCALHOST": ("http", "plain_localhost"),
    "OKNO_TRUSTED_PROXIES": ("http", "trusted_proxies"),
    "OKNO_NETWORK_ALLOW": ("network", "allow"),
    "OKNO_LIMITS": ("limits", "enabled"),
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


def is_loopback(host: str) -> bool:
    """Whether the name or address is that of this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _put(raw: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for part in path[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise ConfigurationError(f"key {'.'.join(path)} is not in a table in okno.toml")
    raw[path[-1]] = value
