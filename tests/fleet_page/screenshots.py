"""The pictures in docs/images: `python -m tests.fleet_page.screenshots` takes them anew, of a fleet that is made up."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from hvac_heartbeat import schema
from hvac_heartbeat.local.gateway import Gateway
from hvac_heartbeat.local.page import views
from hvac_heartbeat.local.postgres import PostgresServer
from hvac_heartbeat.local.read_model.model import ReadModel
from hvac_heartbeat.local.web.access import Access
from hvac_heartbeat.local.web.routes import Routes
from hvac_heartbeat.settings import Settings
from tests.conftest import TABLE_AND_VIEW
from tests.fleet_page.browser import PHONE, WINDOW, chromium, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
_DEVICE: Final = "/device?id=harbour-tower-chiller-1"
PICTURES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "fleet": ("/", {"color_scheme": "light"}),
    "fleet-dark": ("/", {"color_scheme": "dark"}),
    "fleet-phone": ("/", {"color_scheme": "light", "viewport": PHONE, "is_mobile": True}),
    "site-dark": ("/site?id=north-mall", {"color_scheme": "dark", "viewport": {**WINDOW, "height": 560}}),
    "device": (_DEVICE, {"color_scheme": "light", "viewport": {**WINDOW, "height": 1080}}),
}
_FLEET: Final = """
INSERT INTO device_state (device_id, site_id, last_seen_ts, status, agent_version, cpu_pct, disk_free_gb, queue_depth,
                          poll_interval_s, last_upload_ts)
SELECT site || '-' || unit, site, now() - CASE
           WHEN place = 1 THEN interval '38 minutes' + make_interval(secs => row_number() OVER () * 3)
           WHEN site || '-' || unit = 'north-mall-rooftop-unit-3' THEN interval '6 minutes 20 seconds'
           WHEN site || '-' || unit = 'opera-house-air-handler-2' THEN interval '2 hours 11 minutes'
           WHEN site || '-' || unit = 'north-mall-chiller-2' THEN interval '19 minutes'
           ELSE interval '12 seconds' END,
       CASE WHEN unit = 'air-handler-2' THEN 'degraded' ELSE 'ready' END, '2.4.1', 14.5, 41.2,
       CASE WHEN site || '-' || unit = 'city-hospital-air-handler-1' THEN 214 ELSE 0 END, 30,
       now() - CASE WHEN unit = 'air-handler-1' THEN interval '97 minutes' ELSE interval '40 minutes' END
  FROM unnest(ARRAY['harbour-tower', 'north-mall', 'city-hospital', 'opera-house', 'data-center-2', 'airport-pier-b',
                    'library', 'town-hall', 'school-east', 'school-west', 'swimming-pool', 'museum'])
       WITH ORDINALITY AS sites (site, place),
       unnest(ARRAY['chiller-1', 'chiller-2', 'air-handler-1', 'air-handler-2', 'air-handler-3', 'rooftop-unit-1',
                    'rooftop-unit-2', 'rooftop-unit-3', 'boiler-1']) AS units (unit);
UPDATE device_state SET updated_at = last_seen_ts;
UPDATE ledger_start SET started_at = now() - interval '90 days';
UPDATE first_heartbeat SET first_seen_ts = now() - interval '90 days';
INSERT INTO silence (device_id, silent_from, silent_to, site_id)
SELECT device_id, ended - length, ended, site_id
  FROM (SELECT device_id, site_id, last_seen_ts - make_interval(hours => hours) AS ended,
               make_interval(mins => 4 + abs(hashtext(site_id || hours)) % 190) AS length
          FROM device_state, generate_series(7, 700, 59) AS hours
         WHERE abs(hashtext(device_id || hours)) % 100 < 4 + abs(hashtext(site_id)) % 31) AS past;
INSERT INTO maintenance_window (scope, subject, starts_at, ends_at, note)
VALUES ('site', 'library', now() - interval '2 hours', now() + interval '4 hours', 'new switch'),
       ('site', 'harbour-tower', now() - interval '9 days 5 hours', now() - interval '8 days 20 hours', 'new fans');
INSERT INTO deaf_interval (starts_at, ends_at, note)
VALUES (now() - interval '17 days 3 hours', now() - interval '16 days 22 hours', 'the NAT gateway');
SELECT * FROM sweep(NULL, NULL)
"""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        browser, url = stack.enter_context(chromium()), next(served(stack))
        for name, (path, options) in PICTURES.items():
            page, _ = stack.enter_context(opened(browser, url, **options))
            page.goto(path)
            page.get_by_text("This is being worked out.").wait_for(state="detached")
            picture = page.screenshot(path=IMAGES / f"{name}.png")
            print(f"docs/images/{name}.png: {len(picture):,} bytes")


def served(stack: ExitStack) -> Iterator[str]:
    """Serve the fleet from a throwaway PostgreSQL."""
    server = stack.enter_context(PostgresServer())
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(TABLE_AND_VIEW.encode())
        schema.migrate(connection)
        connection.execute(_FLEET.encode())
        info = connection.info
        names = {"DB_HOST": info.host, "DB_PORT": str(info.port), "DB_NAME": info.dbname, "DB_USER": info.user}
    model = ReadModel(Settings.from_environment(names))
    stack.callback(model.close)
    routes = Routes(views.routes(model, swept_at=lambda: datetime.now(UTC)))
    gateway = stack.enter_context(Gateway("127.0.0.1", 0, lambda _: None, routes=routes, access=Access()))
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    stack.callback(gateway.shutdown)
    yield gateway.url


if __name__ == "__main__":
    main()
