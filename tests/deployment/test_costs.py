"""The costs in docs/deploy.md are those that the script reckons, and the script reckons right."""

from __future__ import annotations

import pytest

from deployment import costs
from deployment.package import ROOT
from deployment.variables import CREDENTIALS, OURS

DOCUMENT = ROOT / "docs" / "deploy.md"
API, *_ = costs.TRIGGERS


def test_the_document_holds_the_table_and_the_prices_of_the_script() -> None:
    text = DOCUMENT.read_text()
    assert f"<!-- costs -->\n{costs.table()}\n<!-- /costs -->" in text
    assert f"<!-- prices -->\n{costs.prices()}\n<!-- /prices -->" in text


def test_the_example_in_the_document_is_the_sum_it_says() -> None:
    """438 million requests, 300 of them at the first price."""
    assert costs.carriage(API, 10_000) == pytest.approx(300 * 1.00 + 138 * 0.90)
    by_hand = 438 * 0.20 + 438e6 * 0.01515 * 0.125 * 0.0000133334 + 438e6 * 700e-9 * 0.50
    assert costs.function(API, 10_000) == pytest.approx(by_hand)


def test_tiers_are_filled_one_after_the_other() -> None:
    assert costs.tiered(5, (2, 10.0), (2, 1.0), (float("inf"), 0.1)) == pytest.approx(22.1)


def test_the_shards_are_those_of_the_template() -> None:
    template = (ROOT / "template.yaml").read_text()
    for fleet, shards in costs.SHARDS.items():
        row = next(line for line in template.splitlines() if line.strip().startswith(f'"{fleet}": {{'))
        assert f"Shards: {shards}," in row


def test_every_variable_that_deploy_sets_is_one_that_the_function_reads() -> None:
    source = (ROOT / "src" / "hvac_heartbeat" / "settings.py").read_text()
    assert [name for name in (*OURS, *CREDENTIALS) if name not in source] == []
