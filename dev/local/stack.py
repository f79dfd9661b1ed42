"""What the template defines, in the terms of the local service: functions, routes, schedules, tables, bucket, keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.local.errors import LocalError
from dev.local.routing import Route
from dev.local.template import Template, Value

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "ferry",
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function: `timeout` in seconds, `memory` in MB.

    `paths` are what Lambda would put on its import path: its own code, then its layers'.
    """

    name: str
    code_folder: Path
    handler: str
    timeout_seconds: float
    memory_mb: int
    environment: Mapping[str, str]
    import_paths: tuple[Path, ...]
    log_format: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """Invoke `function` with the JSON text `payload` whenever `expression` says."""

    name: str
    function: str
    expression: str
    payload: str


@dataclass(frozen=True, slots=True)
class CorsRules:
    """An HTTP API's CorsConfiguration. Header names are lower case; `max_age` in seconds."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age_seconds: int | None
    allow_credentials: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack. Tables, buckets and keys map a logical id to its resolved CloudFormation properties; `parameters` have
    the values in force, `buses` are the names of its event buses.
    """

    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    schedules: tuple[Schedule, ...]
    cors: CorsRules | None
    tables: Mapping[str, Mapping[str, Any]]
    buckets: Mapping[str, Mapping[str, Any]]
    kms_keys: Mapping[str, Mapping[str, Any]]
    event_buses: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def physical_name(logical_id: str) -> str:
    """The name a table or bucket gets here; also fit for a bucket."""
    return f"ferry-{logical_id.lower()}"


def resolve_stack(
    source: Mapping[str, Any],
    folder: Path,
    overrides: Mapping[str, str],
    references: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Stack:
    """Read the stack from a loaded template.

    Args:
        source: the template, as `dev.local.template.load` gives it.
        folder: where the template lies, to which its paths are relative.
        overrides: parameters.
        references: physical ids of resources that are not `physical_name`, such as keys.
        environment: values for environment variables. A function gets those that the template declares for it, as
            with SAM CLI's `--env-vars`.
    """
    known = dict(references or {})

    def reference(name: str) -> str:
        return known.get(name, physical_name(name))

    template = Template(
        source,
        overrides,
        resolve_reference=reference,
        resolve_attribute=lambda name, attribute: f"arn:aws:local:{REGION}:{ACCOUNT_ID}:{reference(name)}#{attribute}",
        pseudo_parameters=PSEUDO_PARAMETERS,
    )
    functions: dict[str, Function] = {}
    routes: list[Route] = []
    schedules: list[Schedule] = []
    for name, body in template.resources("AWS::Serverless::Function").items():
        functions[name] = _read_function(template, folder, name, body["Properties"], environment or {})
        for event_name, event in body["Properties"].get("Events", {}).items():
            kind = event["Type"]
            if kind == "HttpApi":
                spec = template.resolve({key: event["Properties"][key] for key in ("Method", "Path")})
                routes.append(Route(str(spec["Method"]).upper(), spec["Path"], name))
            elif kind in ("ScheduleV2", "Schedule"):
                schedules.extend(_read_schedules(template, name, event_name, event["Properties"]))
    return Stack(
        functions=functions,
        routes=tuple(routes),
        schedules=tuple(schedules),
        cors=_read_cors_rules(template),
        tables=_resolve_properties(template, "AWS::DynamoDB::Table"),
        buckets=_resolve_properties(template, "AWS::S3::Bucket"),
        kms_keys=_resolve_properties(template, "AWS::KMS::Key", only=("KeySpec", "KeyUsage", "Description")),
        event_buses=tuple(reference(name) for name in template.resources("AWS::Events::EventBus")),
        parameters=template.parameters,
    )


def _read_function(
    template: Template, folder: Path, name: str, properties: Mapping[str, Any], environment: Mapping[str, str]
) -> Function:
    common = template.globals_for("Function")

    def setting(key: str, default: Value = None) -> Value:
        return template.resolve(properties.get(key, common.get(key, default)))

    variables: dict[str, str] = {}
    for level in (common, properties):
        given = template.resolve(level.get("Environment", {}).get("Variables", {}))
        variables.update((key, str(value)) for key, value in given.items())
    variables.update((key, value) for key, value in environment.items() if key in variables)
    handler, code = setting("Handler"), setting("CodeUri")
    if not handler or not code:
        raise LocalError(f"template: {name} needs a Handler and a CodeUri")
    code = (folder / code).resolve()
    layers = [*_layer_paths(template, folder, common), *_layer_paths(template, folder, properties)]
    return Function(
        name=name,
        code_folder=code,
        handler=handler,
        timeout_seconds=float(setting("Timeout", 3)),
        memory_mb=int(setting("MemorySize", 128)),
        environment=variables,
        import_paths=(code, *layers),
        log_format=str((setting("LoggingConfig") or {}).get("LogFormat", "Text")),
    )


def _layer_paths(template: Template, folder: Path, level: Mapping[str, Any]) -> Iterator[Path]:
    known = template.resources("AWS::Serverless::LayerVersion")
    for item in level.get("Layers", []):
        logical = item.get("Ref") if isinstance(item, dict) else None
        if logical not in known:
            raise LocalError(f"template: the layer {item} is not one of this template's, so its code is not here")
        yield (folder / template.resolve(known[logical]["Properties"]["ContentUri"])).resolve()


def _read_schedules(template: Template, function: str, name: str, properties: Mapping[str, Any]) -> Iterator[Schedule]:
    resolved = template.resolve(dict(properties))
    if resolved.get("State") == "DISABLED" or str(resolved.get("Enabled", True)).lower() == "false":
        return
    expression = resolved.get("ScheduleExpression", resolved.get("Schedule"))
    yield Schedule(name, function, str(expression), resolved.get("Input", "{}"))


def _read_cors_rules(template: Template) -> CorsRules | None:
    for api in template.resources("AWS::Serverless::HttpApi").values():
        rules = template.resolve(api.get("Properties", {}).get("CorsConfiguration"))
        if not isinstance(rules, dict):
            continue
        return CorsRules(
            origins=tuple(rules.get("AllowOrigins", ())),
            methods=tuple(rules.get("AllowMethods", ())),
            allow_headers=_lowercase(rules.get("AllowHeaders", ())),
            expose_headers=_lowercase(rules.get("ExposeHeaders", ())),
            max_age_seconds=int(rules["MaxAge"]) if "MaxAge" in rules else None,
            allow_credentials=bool(rules.get("AllowCredentials", False)),
        )
    return None


def _lowercase(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _resolve_properties(
    template: Template, resource_type: str, only: Sequence[str] | None = None
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, body in template.resources(resource_type).items():
        given = body.get("Properties", {})
        found[name] = template.resolve({key: value for key, value in given.items() if only is None or key in only})
    return found
