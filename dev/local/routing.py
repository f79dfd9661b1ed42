"""Choose the route of a request as an HTTP API does.

From left to right a static segment ranks before `{param}`, and that before `{proxy+}`. An exact method ranks before
ANY, and `$default` last. Path parameters are decoded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Route:
    """A route and its function."""

    method: str
    """The HTTP method, or ANY."""
    path: str
    """The path as the template has it: `/download/{filename+}`, or `$default`."""
    function: str
    """The logical id of the function."""

    @property
    def key(self) -> str:
        """The `routeKey` of the event: method and path."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """The route of a request."""

    route: Route
    """The route."""
    parameters: Mapping[str, str]
    """The decoded path parameters by name."""


def match_route(routes: Sequence[Route], method: str, raw_path: str) -> RouteMatch | None:
    """Return the best route for a method and a percent-encoded path, or None."""
    best: tuple[tuple[tuple[int, ...], int], RouteMatch] | None = None
    segments = raw_path.split("/")
    for route in routes:
        if route.method not in (method, "ANY") and route.path != "$default":
            continue
        found = _match_path(route, segments)
        if found is None:
            continue
        rank = (found[0], 0 if route.method == method else 1)
        if best is None or rank < best[0]:
            best = rank, RouteMatch(route, found[1])
    return best[1] if best else None


def _match_path(route: Route, segments: Sequence[str]) -> tuple[tuple[int, ...], dict[str, str]] | None:
    """Return the rank of a route (lower is better) and its parameters, or None when the path does not match."""
    if route.path == "$default":
        return (3,), {}
    pattern = route.path.split("/")
    ranks: list[int] = []
    parameters: dict[str, str] = {}
    for index, expected in enumerate(pattern):
        if index >= len(segments):
            return None
        if expected.startswith("{") and expected.endswith("+}"):
            rest = "/".join(segments[index:])
            if not rest:
                return None
            parameters[expected[1:-2]] = unquote(rest)
            return (*ranks, 2), parameters
        if expected.startswith("{") and expected.endswith("}"):
            if not segments[index]:
                return None
            parameters[expected[1:-1]] = unquote(segments[index])
            ranks.append(1)
        elif expected == unquote(segments[index]):
            ranks.append(0)
        else:
            return None
    return (tuple(ranks), parameters) if len(pattern) == len(segments) else None
