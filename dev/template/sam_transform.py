"""Expand template.yaml into CloudFormation resources with SAM's own transform."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from dev.paths import ROOT

UPLOADED_URI = "s3://artifacts/{}-{}"
"""Address of an uploaded file: the resource's logical id and the digest of the file's bytes."""

FILE_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::CloudFormation::Stack": "TemplateURL",
}
"""The property that names a local file, by resource type. `sam package` uploads the file and replaces the property."""


def package_template(digests: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return template.yaml as `sam package` leaves it.

    Args:
        digests: the digest of the uploaded file, by logical id; `0` for a resource that is not in it.
    """
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for name, body in template["Resources"].items():
        if location := FILE_PROPERTIES.get(body["Type"]):
            body["Properties"][location] = UPLOADED_URI.format(name, (digests or {}).get(name, "0"))
    return template


def transform_template(template: Mapping[str, Any], parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the template that SAM's transform makes of a packaged template.

    Args:
        template: a packaged template.
        parameters: values by parameter name; a parameter that is not in it keeps its default.
    """
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    transformed: dict[str, Any] = translator.translate(copy.deepcopy(dict(template)), dict(parameters or {}))
    return transformed


def resources_of_type(transformed: Mapping[str, Any], resource_type: str) -> dict[str, Any]:
    """Return the resources of a type by logical id."""
    return {name: body for name, body in transformed["Resources"].items() if body["Type"] == resource_type}
