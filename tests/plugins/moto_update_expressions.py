"""Evaluate update expressions as moto does, with less work for each.

moto parses an expression twice for a call, copies its tree with `copy.deepcopy`, and passes over the tree ten times.
Each pass asks each node for its abstract base classes, and the first one searches the tree below each node. Here a
parsed tree is kept, since moto changes copies alone; `pickle` copies it; a pass looks up each class of nodes once; and
the first pass checks the root, whose search covers the whole tree.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest


def apply_update_expressions(patch: pytest.MonkeyPatch) -> None:
    """Replace the parsing, the copies and the passes of update expressions."""
    from moto.dynamodb.parsing import ast_nodes, expressions, validators

    # moto switches the types of these modules off.
    parser: Any = vars(expressions)["UpdateExpressionParser"]
    traverser: Any = vars(ast_nodes)["DepthFirstTraverser"]

    def check_root(validator: Any, node: Any) -> Any:
        return validator.verify_action_counts(node)

    patch.setattr(parser, "make", staticmethod(cache(parser.make)))
    patch.setattr(validators, "deepcopy", _copy_tree)
    patch.setattr(traverser, "traverse", _with_one_lookup(traverser.pre_processing_of_child))
    patch.setattr(validators.ActionCountValidator, "traverse", check_root)


def _copy_tree(value: Any) -> Any:
    """Return a copy of a tree of an expression, or of a value of an item."""
    if not hasattr(value, "children"):
        return copy.deepcopy(value)
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - of this process


@cache
def _is_subclass(node_class: Any, other: type[Any]) -> bool:
    return issubclass(node_class, other)


def _with_one_lookup(no_preparation: Any) -> Callable[[Any, Any], Any]:
    """Return a traversal that prepares children only for traversers whose method is not the empty one of the base."""

    def traverse(traverser: Any, root: Any) -> Any:
        processors = traverser._processing_map()
        is_prepared = type(traverser).pre_processing_of_child is not no_preparation
        processor_by_class: dict[type[Any], Any] = {}

        def visit(node: Any, position: int) -> Any:
            parent = node.parent
            for index, child in enumerate(node.children or ()):
                if is_prepared:
                    traverser.pre_processing_of_child(node, index)
                if hasattr(child, "children"):
                    visit(child, index)
            node_class = node.__class__
            if node_class not in processor_by_class:
                found = (process for each, process in processors.items() if _is_subclass(node_class, each))
                processor_by_class[node_class] = next(found, None)
            process = processor_by_class[node_class]
            if process is not None:
                node = process(node)
                node.parent = parent
                if parent:
                    parent.children[position] = node
            return node

        return visit(root, -1)

    return traverse
