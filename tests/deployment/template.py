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


def statements(resources: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give every statement of every policy in the stack, and the condition that it stands under, if any."""
    for found in resources.values():
        properties = found["Properties"]
        keys = ("PolicyDocument", "AssumeRolePolicyDocument")
        documents = [(None, properties[key]) for key in keys if key in properties]
        for policy in properties.get("Policies", []):
            documents += [(condition, branch["PolicyDocument"]) for condition, branch in branches(policy)]
        for condition, document in documents:
            for entry in document["Statement"]:
                yield from ((inner or condition or found.get("Condition"), part) for inner, part in branches(entry))


def branches(value: dict[str, Any]) -> list[tuple[str | None, dict[str, Any]]]:
    """Return what a value can be, each with the condition of its Fn::If; without AWS::NoValue."""
    if "Fn::If" not in value:
        return [] if value == {"Ref": "AWS::NoValue"} else [(None, value)]
    condition, *parts = value["Fn::If"]
    return [(condition, part) for part in parts if part != {"Ref": "AWS::NoValue"}]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
