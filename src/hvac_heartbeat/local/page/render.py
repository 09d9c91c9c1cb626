"""The page's templates: every value is escaped, and one that a template forgot to be given is an error."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hvac_heartbeat.local import phrases
from hvac_heartbeat.local.page import words


def render(template: str, **values: Any) -> bytes:
    """Return a page as it is sent."""
    return _environment().get_template(template).render(**values).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hvac_heartbeat.local.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (phrases.duration, phrases.per_cent, words.iso, words.moment, words.isolated, words.count, words.whose)
    environment.filters.update({one.__name__: one for one in filters})
    environment.globals.update(link=words.link, site_state=words.site_state, device_state=words.device_state)
    return environment
