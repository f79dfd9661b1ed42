"""What the options and the template define, read and checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dev.local import schedule, stack, template
from dev.local.errors import LocalError
from dev.local.stack import Stack
from dev.network.aws import AwsDelays

_MAX_LONG_POLLS_PARAMETER = "MaxConcurrentLongPolls"
_ENDPOINTS_VARIABLE = "FERRY_ENDPOINTS"
_CHUNK_ENDPOINT_VARIABLE = "FERRY_CHUNK_ENDPOINT"
_PUBLIC_URL_PARAMETER, _PUBLIC_URL_VARIABLE = "PublicUrl", "FERRY_PUBLIC_URL"


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """The choices of the person who starts the service (`python -m dev.local --help`)."""

    port: int
    """The API's port. Where it is taken, the service listens on one of the next ports and says so."""
    parameters: Mapping[str, str]
    """Values for parameters of the template."""
    max_instances: int
    """Instances of one function that may run at once. Beyond it a request waits two seconds, then gets 429."""
    quiet: bool
    """Print nothing but the ready line and errors."""
    template_path: Path
    """The template that defines the service."""
    state_folder: Path
    """The folder of all state."""
    record_calls: bool = False
    """Append the permissions that functions need at AWS to `calls.jsonl` of the state folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Values for environment variables that the template declares."""
    network: AwsDelays | None = None
    """Delays before S3 and DynamoDB; None: no delays."""


@dataclass(frozen=True, slots=True)
class StartupPlan:
    """What the template and the options define, read before anything starts."""

    options: ServiceOptions
    """The options, with the parameters in force."""
    source: Mapping[str, Any]
    """The template as it was loaded."""
    draft: Stack
    """The stack, its references to KMS keys not yet resolved."""
    schedules: tuple[tuple[stack.Schedule, schedule.NextTime], ...]
    """The schedules, each with its parsed expression."""

    @property
    def folder(self) -> Path:
        """The folder that the template's paths are relative to."""
        return self.options.template_path.resolve().parent

    def resolve(
        self, key_ids: Mapping[str, str], endpoints: Mapping[str, str], base_url: str, function_url: str = ""
    ) -> Stack:
        """Return the stack with the ids of its keys, and with FERRY_ENDPOINTS in each function's environment.

        `base_url` is the API's address: without a value of the parameter PublicUrl, functions build URLs on it.
        `function_url` is that of the chunk function, empty without one.
        """
        pairs = ",".join(f"{service}={url}" for service, url in endpoints.items())
        environment = {**self.options.environment, _ENDPOINTS_VARIABLE: pairs}
        if not self.options.parameters.get(_PUBLIC_URL_PARAMETER):
            environment.setdefault(_PUBLIC_URL_VARIABLE, base_url)
        if function_url:
            environment[_CHUNK_ENDPOINT_VARIABLE] = function_url
        return stack.resolve_stack(
            self.source, self.folder, self.options.parameters, references=key_ids, environment=environment
        )


def read_startup_plan(options: ServiceOptions) -> StartupPlan:
    """Read and check the template and the options. Raises `LocalError`."""
    source = template.load_template(options.template_path)
    if _MAX_LONG_POLLS_PARAMETER in source.get("Parameters", {}):
        # Half of a function's few instances stay free for requests that do not wait.
        fewer = {_MAX_LONG_POLLS_PARAMETER: str(max(1, options.max_instances // 2))}
        options = replace(options, parameters=fewer | dict(options.parameters))
    draft = stack.resolve_stack(source, options.template_path.resolve().parent, options.parameters)
    _check_environment(options.environment, draft)
    for function in draft.functions.values():
        if not function.code_folder.is_dir():
            raise LocalError(f"{function.name}: there is no folder {function.code_folder}; correct its CodeUri")
    schedules = tuple((entry, schedule.parse(entry.expression)) for entry in draft.schedules)
    return StartupPlan(options, source, draft, schedules)


def _check_environment(environment: Mapping[str, str], draft: Stack) -> None:
    """Raise `LocalError` for a variable that the local service sets, or that no function declares."""
    declared = {name for function in draft.functions.values() for name in function.environment}
    for name in environment:
        if name == _ENDPOINTS_VARIABLE:
            raise LocalError(f"--env: the local service sets {name}; leave it out")
        if name not in declared:
            raise LocalError(
                f"--env: the template declares no variable {name}; it declares {', '.join(sorted(declared))}"
            )
