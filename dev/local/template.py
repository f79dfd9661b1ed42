"""Read a CloudFormation template: parameters with overrides, conditions, and the intrinsic functions that Ferry uses.

Values are resolved on demand, so the rest of a template may use functions that are not supported here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from dev.local.errors import LocalError

Value = Any
"""Any value of YAML."""

NO_VALUE = object()
"""The value of `!Ref AWS::NoValue`: the member that has it is left out."""

_SUBSTITUTION = re.compile(r"\$\{([^}]+)\}")
_WHOLE_NUMBER = re.compile(r"[0-9]+")
_RATE = re.compile(r"[0-9]+(\.[0-9]+)?")


_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML has it: it reads the template in a seventh of the time."""


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type] # a base class by the machine
    """A YAML loader that turns CloudFormation's short tags into the long form: `!Ref x` → `{"Ref": "x"}`."""


def _construct_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _construct_tag)


def load_template(path: Path) -> dict[str, Any]:
    """Return a template, its short tags in the long form. Raises `LocalError` when it is missing or not a template."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader with more tags
    except FileNotFoundError:
        raise LocalError(f"there is no {path}: name the template with --template") from None
    except yaml.YAMLError as error:
        raise LocalError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or "Resources" not in found:
        raise LocalError(f"{path} is not a CloudFormation template: it has no Resources")
    return found


def parse_overrides(text: str) -> dict[str, str]:
    """Return the parameters of a text like `Name=value Other="some value"`. Raises `LocalError`."""
    overrides: dict[str, str] = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise LocalError(
            f"PARAMS cannot be read ({error}): write it as PARAMS=\"Name=value Other='some value'\""
        ) from None
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            overrides[name] = value
        elif overrides:
            # PARAMS="CleanupSchedule=rate(5 seconds)": the words without `=` belong to the value before them.
            last = next(reversed(overrides))
            overrides[last] += f" {word}"
        else:
            raise LocalError(f"PARAMS: {word!r} is not Name=value")
    return overrides


class Template:
    """A template whose values can be resolved.

    Args:
        source: the template, as `load_template` returns it.
        overrides: values of its parameters.
        resolve_reference: returns the value of `Ref` for a resource's logical id.
        resolve_attribute: returns the value of `Fn::GetAtt` for a logical id and an attribute.
        pseudo_parameters: the values of `AWS::Region` and the like.

    Raises:
        LocalError: the template does not declare or allow a value.
    """

    def __init__(
        self,
        source: Mapping[str, Any],
        overrides: Mapping[str, str],
        *,
        resolve_reference: Callable[[str], str] = lambda name: name,
        resolve_attribute: Callable[[str, str], str] = lambda name, attribute: f"{name}.{attribute}",
        pseudo_parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._source = source
        self._resolve_reference = resolve_reference
        self._resolve_attribute = resolve_attribute
        self._pseudo_parameters = dict(pseudo_parameters or {})
        self.parameters = _resolve_parameters(source.get("Parameters", {}), overrides)

    def resources(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Resources of a type whose condition holds, by logical id, unresolved."""
        return {
            name: body
            for name, body in self._source["Resources"].items()
            if body["Type"] == resource_type and self._evaluate_condition(body.get("Condition"))
        }

    def globals_for(self, resource_kind: str) -> dict[str, Any]:
        """Return SAM's Globals of a kind ("Function"), unresolved."""
        found: dict[str, Any] = self._source.get("Globals", {}).get(resource_kind, {})
        return found

    def resolve(self, value: Value) -> Value:
        """Return the value with its intrinsic functions replaced. Raises `LocalError` for an unsupported one."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref" or (isinstance(name, str) and name.startswith("Fn::")):
                    return self._resolve_intrinsic(name, argument)
            pairs = ((key, self.resolve(item)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not NO_VALUE}
        if isinstance(value, list):
            items = (self.resolve(item) for item in value)
            return [item for item in items if item is not NO_VALUE]
        return value

    def _resolve_ref(self, name: str) -> Value:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo_parameters:
            return self._pseudo_parameters[name]
        if name in self.parameters:
            return self.parameters[name]
        # SAM creates `Function.Alias`. Here a function has one version, which the alias stands for.
        resource = name.removesuffix(".Alias")
        if resource in self._source["Resources"]:
            return self._resolve_reference(resource)
        raise LocalError(f"template: Ref to {name!r}, which is neither a parameter nor a resource")

    def _resolve_intrinsic(self, name: str, argument: Value) -> Value:
        if name == "Ref":
            return self._resolve_ref(argument)
        if name == "Fn::GetAtt":
            resource, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
            return self._resolve_attribute(resource, attribute)
        if name == "Fn::Sub":
            return self._resolve_sub(argument)
        if name == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self._evaluate_condition(condition) else no)
        if name == "Fn::Join":
            separator, parts = argument
            return str(separator).join(str(part) for part in self.resolve(parts))
        if name == "Fn::Split":
            separator, text = argument
            return str(self.resolve(text)).split(separator)
        if name == "Fn::Select":
            index, items = argument
            return self.resolve(items)[int(self.resolve(index))]
        raise LocalError(f"template: {name} is not supported by the local service")

    def _resolve_sub(self, argument: Value) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})

        def replace(match: re.Match[str]) -> str:
            name = match.group(1).strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in given:
                return str(self.resolve(given[name]))
            if "." in name and name not in self._pseudo_parameters:
                resource, attribute = name.split(".", 1)
                return self._resolve_attribute(resource, attribute)
            return str(self._resolve_ref(name))

        return _SUBSTITUTION.sub(replace, text)

    def _evaluate_condition(self, condition: Value) -> bool:
        if condition is None:
            return True
        if isinstance(condition, str):
            try:
                return self._evaluate_condition(self._source.get("Conditions", {})[condition])
            except KeyError:
                raise LocalError(f"template: there is no condition {condition!r}") from None
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self._evaluate_condition(argument)
        if name == "Fn::Equals":
            left, right = (self.resolve(side) for side in argument)
            return str(left) == str(right)
        if name == "Fn::Not":
            return not self._evaluate_condition(argument[0])
        if name == "Fn::And":
            return all(self._evaluate_condition(item) for item in argument)
        if name == "Fn::Or":
            return any(self._evaluate_condition(item) for item in argument)
        raise LocalError(f"template: {name} is not supported in a condition by the local service")


def _resolve_parameters(declared: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(overrides) - set(declared))
    if unknown:
        raise LocalError(f"template.yaml has no parameter {unknown[0]!r}; it has {', '.join(declared)}")
    values: dict[str, Any] = {}
    for name, spec in declared.items():
        if name not in overrides and "Default" not in spec:
            raise LocalError(f'parameter {name} has no default: set it with PARAMS="{name}=value"')
        text = str(overrides.get(name, spec.get("Default", "")))
        _check_parameter(name, text, spec)
        lists = spec["Type"] == "CommaDelimitedList" or str(spec["Type"]).startswith("List<")
        values[name] = [item.strip() for item in text.split(",")] if lists else text
    return values


def _check_parameter(name: str, text: str, spec: Mapping[str, Any]) -> None:
    if "AllowedValues" in spec and text not in {str(value) for value in spec["AllowedValues"]}:
        raise LocalError(f"parameter {name}: {text!r} is not one of {', '.join(map(str, spec['AllowedValues']))}")
    if "AllowedPattern" in spec and not re.fullmatch(spec["AllowedPattern"], text):
        raise LocalError(f"parameter {name}: {text!r} does not match {spec['AllowedPattern']}")
    if spec["Type"] != "Number":
        return
    # API Gateway's rates may have fractions. With a fraction in another parameter, CloudFormation accepts it, and each
    # function fails when it reads its settings.
    form = _RATE if name.endswith("RateLimit") else _WHOLE_NUMBER
    if not form.fullmatch(text):
        kind = "number" if form is _RATE else "whole number"
        raise LocalError(f"parameter {name}: {text!r} is not a {kind}: write it in digits")
    number = float(text)
    if "MinValue" in spec and number < float(spec["MinValue"]):
        raise LocalError(f"parameter {name}: {text} is less than {spec['MinValue']}")
    if "MaxValue" in spec and number > float(spec["MaxValue"]):
        raise LocalError(f"parameter {name}: {text} is more than {spec['MaxValue']}")
