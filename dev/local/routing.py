"""Which route answers a request, as an API Gateway HTTP API chooses it.

A static segment beats `{param}`, which beats `{proxy+}`, from left to right; then an exact method beats ANY;
`$default` takes what is left. Parameters are decoded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is as in the template: `/download/{filename}`, or `$default`."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """The event's `routeKey`."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class RouteMatch:
    route: Route
    parameters: Mapping[str, str]


def match_route(routes: Sequence[Route], method: str, raw_path: str) -> RouteMatch | None:
    """The best route for a method and a path as it came over the wire (still percent-encoded), or None."""
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
    """How well the route fits (lower is better) and its parameters, or None when it does not."""
    if route.path == "$default":
        return (3,), {}
    wanted = route.path.split("/")
    ranks: list[int] = []
    parameters: dict[str, str] = {}
    for index, want in enumerate(wanted):
        if index >= len(segments):
            return None
        if want.startswith("{") and want.endswith("+}"):
            rest = "/".join(segments[index:])
            if not rest:
                return None
            parameters[want[1:-2]] = unquote(rest)
            return (*ranks, 2), parameters
        if want.startswith("{") and want.endswith("}"):
            if not segments[index]:
                return None
            parameters[want[1:-1]] = unquote(segments[index])
            ranks.append(1)
        elif want == unquote(segments[index]):
            ranks.append(0)
        else:
            return None
    return (tuple(ranks), parameters) if len(wanted) == len(segments) else None
