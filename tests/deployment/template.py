"""The template's text as CloudFormation gets it, and ways to look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Run by the tools' own Python: the SAM translator is not among our requirements.
EXPAND = """
import copy, json, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
class NoManagedPolicies:
    def load(self):
        return {}
written = yaml_parse(open(sys.argv[1]).read())
packaged = copy.deepcopy(written)
for resource in packaged["Resources"].values():
    if "CodeUri" in resource["Properties"]:
        resource["Properties"]["CodeUri"] = "s3://bucket/key"
print(json.dumps({"written": written, "expanded": transform(packaged, {}, NoManagedPolicies())}))
"""


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of a type, by its name."""
    return {name: found["Properties"] for name, found in resources.items() if found["Type"] == kind}


def statements(resources: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every statement of every policy in the stack, both branches of an If."""
    for name, found in resources.items():
        properties = found["Properties"]
        documents = [properties[key] for key in ("PolicyDocument", "AssumeRolePolicyDocument") if key in properties]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents:
            for entry in document["Statement"]:
                branches = entry["Fn::If"][1:] if "Fn::If" in entry else [entry]
                yield from ((name, branch) for branch in branches if "Effect" in branch)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
