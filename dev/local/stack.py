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
    functions: dict[str, Function] = {}
    routes: list[Route] = []
    schedules: list[Schedule] = []
    function_urls: list[FunctionUrl] = []
    for name, body in template.resources("AWS::Serverless::Function").items():
        if url := template.resolve(body["Properties"].get("FunctionUrlConfig")):
            function_urls.append(FunctionUrl(name, _to_cors_rules(url["Cors"]) if "Cors" in url else None))
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
        function_urls=tuple(function_urls),
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


def _read_schedules(template: Template, function: str, name: str, properties: Mapping[str, Any]) -> Iterator[Schedule]:
    resolved = template.resolve(dict(properties))
    if resolved.get("State") == "DISABLED" or str(resolved.get("Enabled", True)).lower() == "false":
        return
    expression = resolved.get("ScheduleExpression", resolved.get("Schedule"))
    yield Schedule(name, function, str(expression), resolved.get("Input", "{}"))


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
