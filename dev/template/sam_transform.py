"""template.yaml as CloudFormation sees it, once SAM's transform (the one that AWS itself runs) has been through it."""

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
FILE_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::CloudFormation::Stack": "TemplateURL",
}
"""Where a resource names a file, which `sam package` uploads under the digest of its bytes."""


def package_template(digests: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The template with every file's address in a bucket; `digests` says which resource's bytes are others."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for name, body in template["Resources"].items():
        if location := FILE_PROPERTIES.get(body["Type"]):
            body["Properties"][location] = UPLOADED_URI.format(name, (digests or {}).get(name, "0"))
    return template


def transform_template(template: Mapping[str, Any], parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What SAM makes of a packaged template. `parameters` are those given; the others have their defaults."""
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    found: dict[str, Any] = translator.translate(copy.deepcopy(dict(template)), dict(parameters or {}))
    return found


def resources_of_type(transformed: Mapping[str, Any], resource_type: str) -> dict[str, Any]:
    """The resources of a type, by logical id."""
    return {name: body for name, body in transformed["Resources"].items() if body["Type"] == resource_type}
