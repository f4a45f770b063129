"""Settings come from okno.toml and the environment; whatever is wrong is named with its place."""

from pathlib import Path

import pytest

from okno.errors import ConfigurationError
from okno.settings import load_settings, read_secret


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def test_without_a_file_everything_has_a_default(config: Path) -> None:
    settings = load_settings({"OKNO_CONFIG_DIR": str(config)})
    assert (settings.mode, settings.http.port, settings.database.url) == ("production", 8000, None)
    assert settings.public_url == "http://localhost:8000"
    assert settings.config_dir == config


def test_the_environment_wins_over_the_file(config: Path) -> None:
    (config / "okno.toml").write_text('mode = "development"\n[http]\nport = 9000\n')
    settings = load_settings({"OKNO_CONFIG_DIR": str(config), "PORT": "9100", "OKNO_DATA_DIR": "/srv/data"})
    assert (settings.mode, settings.http.port, settings.data_dir) == ("development", 9100, Path("/srv/data"))


def test_all_wrong_keys_are_named_at_once_with_their_place(config: Path) -> None:
    (config / "okno.toml").write_text('mode = "test"\n[http]\nprot = 1\n')
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"OKNO_CONFIG_DIR": str(config), "PORT": "many"})
    text = caught.value.message
    assert f"{config / 'okno.toml'}, key mode" in text
    assert f"{config / 'okno.toml'}, key http.prot" in text
    assert "environment variable PORT" in text


def test_broken_toml_names_the_file(config: Path) -> None:
    (config / "okno.toml").write_text("mode = \n")
    with pytest.raises(ConfigurationError, match=r"okno\.toml is not valid TOML"):
        load_settings({"OKNO_CONFIG_DIR": str(config)})


def test_an_empty_variable_counts_as_not_set(config: Path) -> None:
    assert load_settings({"OKNO_CONFIG_DIR": str(config), "DATABASE_URL": ""}).database.url is None


def test_a_secret_is_read_from_where_the_reference_says(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    assert read_secret(f"file:{tmp_path / 'secret'}", {}) == "from-file"
    assert read_secret("env:THE_SECRET", {"THE_SECRET": "from-env"}) == "from-env"


@pytest.mark.parametrize("reference", ["hunter2", "env:", "env:ABSENT", "file:/nowhere/at/all", "vault:x"])
def test_a_bad_reference_is_refused_and_never_repeats_a_value(reference: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_secret(reference, {})
    assert "hunter2" not in caught.value.message


def test_addresses_of_databases_are_not_shown(config: Path) -> None:
    settings = load_settings(
        {
            "OKNO_CONFIG_DIR": str(config),
            "DATABASE_URL": "postgresql://owner:hunter2@host/okno",
            "OKNO_APP_DATABASE_URL": "postgresql://app:hunter3@host/okno",
        }
    )
    assert "hunter" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://okno.example.com", "https://okno.example.com"),
        ("https://Okno.Example.com:443/", "https://okno.example.com"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_the_public_address_is_kept_as_browsers_write_an_origin(config: Path, given: str, kept: str) -> None:
    assert load_settings({"OKNO_CONFIG_DIR": str(config), "OKNO_PUBLIC_URL": given}).public_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "okno.example.com",
        "//okno.example.com",
        "ftp://okno",
        "https://",
        "https://host/okno",
        "https://host:x",
    ],
)
def test_half_a_public_address_stops_the_start(config: Path, given: str) -> None:
    with pytest.raises(ConfigurationError, match="environment variable OKNO_PUBLIC_URL"):
        load_settings({"OKNO_CONFIG_DIR": str(config), "OKNO_PUBLIC_URL": given})


def _serving(config: Path, **environment: str) -> None:
    load_settings({"OKNO_CONFIG_DIR": str(config), **environment}).check_serving()


@pytest.mark.parametrize(
    "url", ["", "http://okno.example.com", "http://10.0.0.7:8000", "http://localhost:8000"]
)
def test_production_is_not_served_by_plain_http(config: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="browsers must come by https"):
        _serving(config, OKNO_PUBLIC_URL=url)


def test_production_may_be_tried_on_this_machine_alone_when_it_is_said(config: Path) -> None:
    _serving(config, OKNO_PUBLIC_URL="https://okno.example.com")
    for url in ("", "http://localhost:8000", "http://127.0.0.1:9000", "http://[::1]:9000"):
        _serving(config, OKNO_PUBLIC_URL=url, OKNO_PLAIN_LOCALHOST="true")
    for url in ("http://okno.example.com", "http://localhost.evil.example", "http://10.0.0.7"):
        with pytest.raises(ConfigurationError, match="https"):
            _serving(config, OKNO_PUBLIC_URL=url, OKNO_PLAIN_LOCALHOST="true")
    _serving(config, OKNO_MODE="development", OKNO_PUBLIC_URL="http://10.0.0.7:8000")


def test_private_networks_are_open_in_development_and_named_in_production(config: Path) -> None:
    def allowed(**environment: str) -> list[str]:
        settings = load_settings({"OKNO_CONFIG_DIR": str(config), **environment})
        return [str(network) for network in settings.allowed_networks]

    assert allowed() == []
    assert "10.0.0.0/8" in allowed(OKNO_MODE="development")
    assert allowed(OKNO_NETWORK_ALLOW="10.20.0.0/16, fd12::/32") == ["10.20.0.0/16", "fd12::/32"]
    with pytest.raises(ConfigurationError, match=r"OKNO_NETWORK_ALLOW|network\.allow"):
        allowed(OKNO_NETWORK_ALLOW="10.20.0.0/99")
