"""`hvac-heartbeat serve` as a whole: it sweeps, prints what is told, outlives its database, and listens with care."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from hvac_heartbeat import schema
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import TABLE_AND_VIEW
from tests.end_to_end.conftest import hvac
from tests.triggers.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.read_model.conftest import Fleet
    from tests.end_to_end.command import Ended

__all__ = ["hvac"]

NOW = r"\d\d:\d\d:\d\dZ"


@pytest.mark.usefixtures("environment")
def test_a_site_goes_dark_and_comes_back_on_the_terminal(bare: Fleet) -> None:
    for number in range(3):
        bare.beat(f"unit-{number}", "building-b", 30)
    bare.beat("alive", "building-a", 0)
    schema.migrate(bare.connection)
    with serving(dict(os.environ), "--sweep-every", "1s") as served:
        told = served.line(holding="Silence Opened")
        assert re.fullmatch(NOW + r" Silence Opened: .*building-b.*\n", told), told
        assert served.ask("GET", "/sites/building-b")[1]["site"]["is_dark"] is True
        assert served.ask("GET", "/fleet")[1]["open_episodes"] == 3
        back = [{"device_id": f"unit-{number}", "site_id": "building-b"} for number in range(3)]
        assert served.ask("POST", "/heartbeat", f"{back}".replace("'", '"'))[0].status == 200
        # What was read did not fill the terminal.
        assert re.fullmatch(NOW + r" POST /heartbeat 200 [\d.]+ ms\n", served.line())
        while bare.connection.execute("SELECT FROM episode WHERE closed_at IS NULL").rowcount:
            pass
        # That a site is back is told after a minute, so that those who come later are in the same message.
        bare.connection.execute("UPDATE episode SET closed_at = closed_at - interval '1 minute'")
        assert re.fullmatch(NOW + r" Silence Ended: .*building-b.*\n", served.line())
        assert served.ask("GET", "/fleet")[1]["last_message"]["kind"] == "Silence Ended"


@pytest.mark.usefixtures("environment")
def test_what_others_told_before_is_not_told_again_and_reads_are_shown_with_logs(bare: Fleet) -> None:
    bare.beat("unit-1", "building-b", 30)
    bare.beat("alive", "building-a", 0)
    schema.migrate(bare.connection)
    bare.connection.execute("SELECT sweep()")
    assert bare.connection.execute("SELECT FROM silence_message").rowcount == 1
    with serving(dict(os.environ), "--sweep-every", "0", "--logs") as served:
        assert served.ask("GET", "/fleet")[0].status == 200
        assert " GET /fleet 200 " in served.line()


@pytest.mark.slow
def test_serve_outlives_its_database_and_says_once_that_it_is_gone_and_back(environment: dict[str, str]) -> None:
    with PostgresServer() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(TABLE_AND_VIEW)
            schema.migrate(connection)
        with serving(os.environ | server.environment(), "--sweep-every", "1s") as served:
            assert served.ask("GET", "/fleet")[0].status == 200
            server.stop()
            response, said = served.ask("GET", "/fleet")
            assert (response.status, response.getheader("retry-after")) == (503, "5")
            assert set(said) == {"message"}
            assert str(server.folder) not in said["message"]
            assert served.ask("GET", "/sites")[0].status == 503
            swept, unread = sorted((served.line(), served.line()), key=lambda line: "No sweep" not in line)
            assert re.fullmatch(NOW + r" No sweep for now: the database cannot be reached.*\n", swept)
            assert re.fullmatch(NOW + r" GET /fleet 503 [\d.]+ ms: the database cannot be reached.*\n", unread)
            assert str(server.folder) in unread
            server.start()
            assert re.fullmatch(NOW + r" Sweeping again\n", served.line())
            assert served.ask("GET", "/fleet")[0].status == 200
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(
                    "INSERT INTO device_state (device_id, site_id, last_seen_ts) VALUES ('a', 'b', now())"
                )
            assert served.ask("GET", "/fleet")[1]["devices"] == 1


@pytest.mark.usefixtures("environment")
def test_an_address_that_others_can_reach_is_refused_without_a_token(hvac: Callable[..., Ended]) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):  # noqa: S104 - is refused
        ended = hvac("serve", "--host", host)
        assert (ended.code, ended.out) == (2, "")
        assert "HEARTBEAT_TOKEN" in ended.err
        assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("environment")
def test_with_a_token_any_address_is_listened_on_and_the_token_is_never_shown() -> None:
    token = "a-secret-of-this-test"
    with serving(os.environ | {"HEARTBEAT_TOKEN": token}, "--host", "0.0.0.0", "--sweep-every", "0") as served:  # noqa: S104
        assert served.ask("GET", "/fleet")[0].status == 401
        assert token not in served.line(holding=" GET /fleet 401 ")
        assert served.ask("GET", "/fleet", headers={"Authorization": f"Bearer {token}"})[0].status == 200


@pytest.mark.usefixtures("environment")
def test_a_service_manager_ends_it_in_order() -> None:
    with serving(dict(os.environ)) as served:
        served.program.send_signal(signal.SIGTERM)
        assert served.program.wait(10) == 0


@pytest.mark.usefixtures("environment")
def test_a_pause_or_a_token_that_is_none_is_refused(
    hvac: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("0.5s", "5", "soon", "-1s"):
        ended = hvac("serve", f"--sweep-every={pause}")
        assert (ended.code, "--sweep-every" in ended.err) == (2, True)
    monkeypatch.setenv("HEARTBEAT_TOKEN", "too-short")
    ended = hvac("serve")
    assert (ended.code, "too-short" in ended.err) == (2, False)
