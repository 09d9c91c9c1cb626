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
print(json.dumps({"written": written, "expanded": transform(packaged, json.loads(sys.argv[2]), NoManagedPolicies())}))
"""


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of a type, by its name."""
    return {name: found["Properties"] for name, found in resources.items() if found["Type"] == kind}


def statements(resources: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give every statement of every policy in the stack, and the condition that it stands under, if any."""
    for found in resources.values():
        properties = found["Properties"]
        keys = ("PolicyDocument", "AssumeRolePolicyDocument")
        documents: list[tuple[str | None, Any]] = [(None, properties[key]) for key in keys if key in properties]
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


class Resolved:
    """What CloudFormation would make of a template that was expanded, with these parameters."""

    def __init__(self, written: dict[str, Any], resources: dict[str, Any], **given: str) -> None:
        """Keep the parameters and the conditions; the defaults of the others hold."""
        self._conditions = written["Conditions"]
        self._mappings = written["Mappings"]
        self._parameters = {name: str(found["Default"]) for name, found in written["Parameters"].items()} | given
        self.resources: dict[str, Any] = {
            name: self.value(found["Properties"])
            for name, found in resources.items()
            if "Condition" not in found or self._holds(found["Condition"])
        }

    def value(self, value: Any) -> Any:
        """Resolve what depends on parameters and conditions alone; the rest stays as it is written."""
        if isinstance(value, list):
            return [found for found in map(self.value, value) if found != {"Ref": "AWS::NoValue"}]
        if not isinstance(value, dict):
            return value
        resolved: Any
        match list(value.items()):
            case [("Ref", name)] if name in self._parameters:
                resolved = self._parameters[name]
            case [("Fn::If", [condition, then, otherwise])]:
                resolved = self.value(then if self._holds(condition) else otherwise)
            case [("Fn::FindInMap", [mapping, key, column])]:
                resolved = self._mappings[mapping][self.value(key)][column]
            case [("Fn::Split", [separator, {"Ref": name}])]:
                resolved = self._parameters[name].split(separator)
            case [("Fn::Select", [index, values])]:
                resolved = self.value(values)[int(index)]
            case entries:
                inner = {name: self.value(found) for name, found in entries}
                resolved = {name: found for name, found in inner.items() if found != {"Ref": "AWS::NoValue"}}
        return resolved

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._holds(self._conditions[condition])
        ((function, given),) = condition.items()
        match function:
            case "Condition":
                return self._holds(given)
            case "Fn::Equals":
                return bool(self.value(given[0]) == self.value(given[1]))
            case "Fn::Not":
                return not self._holds(given[0])
            case "Fn::And":
                return all(map(self._holds, given))
        assert function == "Fn::Or", function
        return any(map(self._holds, given))
