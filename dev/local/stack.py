"""Read the functions, routes, schedules, tables, buckets and keys that a template defines."""

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

Functions = Mapping[str, Mapping[str, Any]]
"""The properties of the functions in a template, by logical id."""


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function."""

    name: str
    """The logical id."""
    code_folder: Path
    """The folder of its code (CodeUri)."""
    handler: str
    """Module and function, as in `app.lambda_handler`."""
    timeout_seconds: float
    """The longest time of one invocation."""
    memory_mb: int
    """MemorySize. Nothing enforces it here."""
    environment: Mapping[str, str]
    """The environment variables of the template."""
    import_paths: tuple[Path, ...]
    """The import path that Lambda gives it: its own code, then its layers'."""
    log_format: str
    """Text or JSON."""
    log_level: str = "INFO"
    """The least severe level that Lambda keeps (ApplicationLogLevel). With JSON only."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scheduled invocation."""

    name: str
    """The name of the event in the template."""
    function: str
    """The logical id of the function."""
    expression: str
    """The schedule expression, such as `rate(5 minutes)`."""
    payload: str
    """The event, a JSON text."""


@dataclass(frozen=True, slots=True)
class CorsRules:
    """An HTTP API's CorsConfiguration."""

    origins: tuple[str, ...]
    """The allowed origins."""
    methods: tuple[str, ...]
    """The allowed methods."""
    allow_headers: tuple[str, ...]
    """The allowed request headers, in lower case."""
    expose_headers: tuple[str, ...]
    """The response headers that pages may read, in lower case."""
    max_age_seconds: int | None
    """How long a browser may cache a preflight's response; None for its default."""
    allow_credentials: bool
    """Whether pages may send cookies."""


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """The URL of a function (FunctionUrlConfig)."""

    function: str
    """The logical id of the function."""
    cors: CorsRules | None
    """Its CORS configuration; None without one."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The resources of a template, with every intrinsic function resolved."""

    functions: Mapping[str, Function]
    """The functions by logical id."""
    routes: tuple[Route, ...]
    """The routes of the HTTP API."""
    schedules: tuple[Schedule, ...]
    """The enabled schedules."""
    cors: CorsRules | None
    """The API's CorsConfiguration, or None without one."""
    tables: Mapping[str, Mapping[str, Any]]
    """CloudFormation properties of the DynamoDB tables, by logical id."""
    buckets: Mapping[str, Mapping[str, Any]]
    """CloudFormation properties of the S3 buckets, by logical id."""
    kms_keys: Mapping[str, Mapping[str, Any]]
    """CloudFormation properties of the KMS keys, by logical id."""
    event_buses: tuple[str, ...] = ()
    """The names of the event buses."""
    function_urls: tuple[FunctionUrl, ...] = ()
    """The URLs of functions."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The values of the parameters, defaults included."""


def physical_name(logical_id: str) -> str:
    """Return the local name of a resource. It is a valid name of a bucket, too."""
    return f"ferry-{logical_id.lower()}"


def resolve_stack(
    source: Mapping[str, Any],
    folder: Path,
    overrides: Mapping[str, str],
    references: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Stack:
    """Return the stack of a loaded template.

    Args:
        source: the template, as `dev.local.template.load_template` returns it.
        folder: the folder that the template's paths are relative to.
        overrides: values of parameters.
        references: physical ids of resources for which `physical_name` is not the id, such as keys.
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
    functions = {name: body["Properties"] for name, body in template.resources("AWS::Serverless::Function").items()}
    return Stack(
        functions={
            name: _read_function(template, folder, name, properties, environment or {})
            for name, properties in functions.items()
        },
        routes=tuple(_read_routes(template, functions)),
        schedules=tuple(_read_schedules(template, functions)),
        cors=_read_cors_rules(template),
        tables=_resolve_properties(template, "AWS::DynamoDB::Table"),
        buckets=_resolve_properties(template, "AWS::S3::Bucket"),
        kms_keys=_resolve_properties(template, "AWS::KMS::Key", only=("KeySpec", "KeyUsage", "Description")),
        event_buses=tuple(reference(name) for name in template.resources("AWS::Events::EventBus")),
        function_urls=tuple(_read_function_urls(template, functions)),
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
        raise LocalError(f"template: {name} has no Handler or no CodeUri: give it both")
    code = (folder / code).resolve()
    logging = setting("LoggingConfig") or {}
    layers = [*_layer_paths(template, folder, common), *_layer_paths(template, folder, properties)]
    return Function(
        name=name,
        code_folder=code,
        handler=handler,
        timeout_seconds=float(setting("Timeout", 3)),
        memory_mb=int(setting("MemorySize", 128)),
        environment=variables,
        import_paths=(code, *layers),
        log_format=str(logging.get("LogFormat", "Text")),
        log_level=str(logging.get("ApplicationLogLevel", "INFO")),
    )


def _layer_paths(template: Template, folder: Path, level: Mapping[str, Any]) -> Iterator[Path]:
    known = template.resources("AWS::Serverless::LayerVersion")
    for item in level.get("Layers", []):
        logical = item.get("Ref") if isinstance(item, dict) else None
        if logical not in known:
            raise LocalError(f"template: the layer {item} is not in this template, so its code is not here: add it")
        yield (folder / template.resolve(known[logical]["Properties"]["ContentUri"])).resolve()


def _read_routes(template: Template, functions: Functions) -> Iterator[Route]:
    for function, _, event in _events_of(functions, "HttpApi"):
        resolved = template.resolve({key: event[key] for key in ("Method", "Path")})
        yield Route(str(resolved["Method"]).upper(), resolved["Path"], function)


def _read_schedules(template: Template, functions: Functions) -> Iterator[Schedule]:
    """Yield the schedules that are enabled."""
    for function, name, event in _events_of(functions, "ScheduleV2", "Schedule"):
        resolved = template.resolve(dict(event))
        if resolved.get("State") == "DISABLED" or str(resolved.get("Enabled", True)).lower() == "false":
            continue
        expression = resolved.get("ScheduleExpression", resolved.get("Schedule"))
        yield Schedule(name, function, str(expression), resolved.get("Input", "{}"))


def _events_of(functions: Functions, *types: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the events of these types, each as the logical id of its function, its name and its properties."""
    for function, properties in functions.items():
        for name, event in properties.get("Events", {}).items():
            if event["Type"] in types:
                yield function, name, event["Properties"]


def _read_function_urls(template: Template, functions: Functions) -> Iterator[FunctionUrl]:
    for function, properties in functions.items():
        if url := template.resolve(properties.get("FunctionUrlConfig")):
            yield FunctionUrl(function, _to_cors_rules(url["Cors"]) if "Cors" in url else None)


def _read_cors_rules(template: Template) -> CorsRules | None:
    for api in template.resources("AWS::Serverless::HttpApi").values():
        rules = template.resolve(api.get("Properties", {}).get("CorsConfiguration"))
        if isinstance(rules, dict):
            return _to_cors_rules(rules)
    return None


def _to_cors_rules(rules: Mapping[str, Any]) -> CorsRules:
    return CorsRules(
        origins=tuple(rules.get("AllowOrigins", ())),
        methods=tuple(rules.get("AllowMethods", ())),
        allow_headers=_lowercase(rules.get("AllowHeaders", ())),
        expose_headers=_lowercase(rules.get("ExposeHeaders", ())),
        max_age_seconds=int(rules["MaxAge"]) if "MaxAge" in rules else None,
        allow_credentials=bool(rules.get("AllowCredentials", False)),
    )


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
