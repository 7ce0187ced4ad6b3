"""The jobs that prepare a stack: secrets before Redis, checks and streams after it."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from shared.domain.errors import UserError
from shared.runtime.provisioning.__main__ import main
from shared.runtime.provisioning.redis_preflight import refuse_unfit, refuse_unfit_by_info
from shared.runtime.provisioning.secret_files import init_secrets, read_keys
from shared.runtime.signing import Keyring, PublicKey, Signer
from shared.schemas.streams import KILL_LOG, ServiceName
from shared.schemas.values import Mode
from tests.servers import redis_binary, redis_server, valkey_binary

CONF = Path(__file__).resolve().parents[3] / "compose" / "redis.conf"


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_service_gets_its_own_folder_with_its_own_password(tmp_path: Path) -> None:
    init_secrets(tmp_path)
    passwords = [(tmp_path / name.value / "redis_password").read_text() for name in ServiceName]
    assert len(set(passwords)) == len(passwords)
    assert all(len(password) >= 40 for password in passwords)


def test_only_those_who_sign_have_a_signing_key(tmp_path: Path) -> None:
    init_secrets(tmp_path)
    assert {path.parent.name for path in tmp_path.rglob("signing.key")} == {
        "risk-gate",
        "auditor",
        "console",
        "witness",
    }


def test_the_public_keys_name_their_owners_and_are_the_same_everywhere(tmp_path: Path) -> None:
    init_secrets(tmp_path)
    copies = {path.read_bytes() for path in tmp_path.rglob("public_keys.json")}
    assert len(copies) == 1
    keys = msgspec.json.decode(copies.pop(), type=list[PublicKey])
    gate = Signer.load(tmp_path / "risk-gate" / "signing.key")
    assert {key.owner: key.key_id for key in keys}["risk-gate"] == gate.key_id
    assert set(Keyring.load(tmp_path / "executor" / "public_keys.json").keys) == {
        key.key_id for key in keys
    }


def test_running_it_again_changes_nothing(tmp_path: Path) -> None:
    init_secrets(tmp_path)
    before = files_of(tmp_path)
    init_secrets(tmp_path)
    assert files_of(tmp_path) == before


def test_a_lost_password_is_made_anew_and_the_acl_file_follows(tmp_path: Path) -> None:
    init_secrets(tmp_path)
    before = files_of(tmp_path)
    (tmp_path / "executor" / "redis_password").unlink()
    init_secrets(tmp_path)
    after = files_of(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {
        "executor/redis_password",
        "redis/users.acl",
    }


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    init_secrets(tmp_path, {"ALPACA_API_KEY_ID": "PK1"})
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name in ("redis_password", "signing.key", "ALPACA_API_KEY_ID"):
            assert mode == 0o600, path
        elif path.is_dir() and path.name != "redis":
            assert mode == 0o700, path


def test_a_stack_without_its_brokers_keys_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("ALPACA_API_KEY_ID=PK1\nALPACA_API_SECRET_KEY=\n")
    with pytest.raises(
        UserError, match="ALPACA_API_SECRET_KEY missing: put your Alpaca keys into"
    ) as refused:
        read_keys(tmp_path / "keys")
    assert refused.value.exit_code == 2


def test_broker_and_vendor_keys_go_only_where_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(
        '# mine\nALPACA_API_KEY_ID="PK1"\nALPACA_API_SECRET_KEY=s=1\nPOLYGON_API_KEY=\n'
    )
    init_secrets(tmp_path / "secrets", read_keys(tmp_path / "keys"))
    found = {name: text for name, text in files_of(tmp_path / "secrets").items() if "API" in name}
    assert found == {
        "data-fetcher/ALPACA_API_KEY_ID": b"PK1",
        "data-fetcher/ALPACA_API_SECRET_KEY": b"s=1",
        "data-fetcher/MASSIVE_API_KEY": b"",
        "executor/ALPACA_API_KEY_ID": b"PK1",
        "executor/ALPACA_API_SECRET_KEY": b"s=1",
    }


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["secrets", str(tmp_path / "file")], {}) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_wrong_call_ends_with_the_usage_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"], {}) == 64
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_both_jobs_prepare_a_stack_with_the_configuration_we_ship(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["secrets", str(tmp_path)], {}) == 0
    shipped = dict(
        line.split(maxsplit=1) for line in CONF.read_text().splitlines() if line[:1].isalpha()
    )
    shipped = {name: "" if value == '""' else value for name, value in shipped.items()}
    acl = (tmp_path / "redis" / "users.acl").read_text()
    binary = valkey_binary() if server == "valkey" else redis_binary()
    with redis_server(binary, config={**shipped, "aof-load-truncated": "no"}, acl=acl) as running:
        environ = {
            "KOBE_MODE": "live",
            "KOBE_REDIS_URL": running.url,
            "KOBE_REDIS_USER": "init",
            "KOBE_REDIS_PASSWORD_FILE": str(tmp_path / "init" / "redis_password"),
            "KOBE_STATE_DIR": str(tmp_path / "state"),
        }
        assert main(["streams"], environ) == 0
        assert "genesis was written" in capsys.readouterr().out
        assert main(["streams"], environ) == 0
        assert "nothing else to do" in capsys.readouterr().out
        password = (tmp_path / "executor" / "redis_password").read_text()
        with closing(running.connection("executor", password)) as executor:
            refuse_unfit_by_info(executor)
            assert executor.one("EXISTS", KILL_LOG) == 1


def test_a_server_that_is_away_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["streams"], {"KOBE_REDIS_URL": "redis://127.0.0.1:1"}) == 69
    assert "Redis does not answer" in capsys.readouterr().err


GOOD_ACL = "user default off resetpass ~* &* +@all\nuser init on nopass +@all ~* &*\n"
BAD_SERVERS = {
    "no append-only file": ({"appendonly": "no"}, GOOD_ACL, Mode.SIM, "appendonly is no"),
    "a second may be lost": (
        {"appendfsync": "everysec"},
        GOOD_ACL,
        Mode.SIM,
        "appendfsync is everysec",
    ),
    "keys are evicted": (
        {"maxmemory-policy": "allkeys-lru"},
        GOOD_ACL,
        Mode.SIM,
        "maxmemory-policy is allkeys-lru",
    ),
    "an oversized kill is taken": (
        {"proto-max-bulk-len": "512mb"},
        GOOD_ACL,
        Mode.SIM,
        "proto-max-bulk-len is 536870912",
    ),
    "a cut log is loaded": (
        {"aof-load-truncated": "yes"},
        GOOD_ACL,
        Mode.LIVE,
        "aof-load-truncated is yes",
    ),
    "no users": ({}, None, Mode.SIM, "No ACL file"),
    "default logs in": ({}, GOOD_ACL.replace(" off", " on nopass"), Mode.SIM, "must be off"),
    "default is restricted": (
        {},
        GOOD_ACL.replace("+@all", "-@all", 1),
        Mode.SIM,
        "short of rights",
    ),
}


@pytest.mark.parametrize(
    ("config", "acl", "mode", "sentence"), BAD_SERVERS.values(), ids=BAD_SERVERS.keys()
)
def test_a_server_that_is_not_fit_is_refused(
    config: dict[str, str], acl: str | None, mode: Mode, sentence: str
) -> None:
    with redis_server(config=config, acl=acl) as server:
        user = "init" if acl else ""
        with closing(server.connection(user, "any" if acl else "")) as connection:
            with pytest.raises(UserError, match=sentence) as refused:
                refuse_unfit(connection, mode)
            assert refused.value.exit_code == 3


def test_a_service_sees_by_itself_that_nothing_would_be_kept() -> None:
    config = {"appendonly": "no", "maxmemory-policy": "allkeys-lru"}
    sentences = r"appendonly must be yes. maxmemory-policy must be noeviction"
    with (
        redis_server(config=config) as server,
        closing(server.connection()) as connection,
        pytest.raises(UserError, match=sentences),
    ):
        refuse_unfit_by_info(connection)


def test_secrets_never_appear_in_what_the_job_prints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").write_text("ALPACA_API_KEY_ID=PK1\nALPACA_API_SECRET_KEY=canary\n")
    main(["secrets", str(tmp_path / "s"), "--keys", str(tmp_path / "keys")], {})
    printed = "".join(capfd.readouterr())
    assert "canary" not in printed
    assert (tmp_path / "s/executor/redis_password").read_text() not in printed


@pytest.mark.parametrize("name", ["MASSIVE_API_KEY", "POLYGON_API_KEY"])
def test_massive_s_key_is_taken_under_either_name_and_given_to_the_data_fetcher_alone(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "keys").write_text(f"ALPACA_API_KEY_ID=P\nALPACA_API_SECRET_KEY=s\n{name}=m\n")
    init_secrets(tmp_path / "secrets", read_keys(tmp_path / "keys"))
    found = {file: text for file, text in files_of(tmp_path / "secrets").items() if text == b"m"}
    assert found == {"data-fetcher/MASSIVE_API_KEY": b"m"}
