#!/usr/bin/python3
"""Judges a Kubernetes manifest by the classes of Debian's python3-kubernetes, which are made from the API's own
OpenAPI description: every field must be known there, of its type, and what is required must be there.

    manifests.py FILE

Also what the description cannot say: probes, drain, host network and the grace period fit together.
"""

import re
import sys

import yaml
from kubernetes.client import models

KINDS = {"ConfigMap": models.V1ConfigMap, "DaemonSet": models.V1DaemonSet, "Service": models.V1Service}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": str}


def judge(value, kind, place):
    """Walks one value along the type that the description gives it."""
    if kind == "object":
        if not isinstance(value, (dict, str, int)):
            sys.exit(f"{place}: {value!r} is no object")
    elif kind.startswith("list["):
        if not isinstance(value, list):
            sys.exit(f"{place}: a list is needed")
        for index, one in enumerate(value):
            judge(one, kind[5:-1], f"{place}[{index}]")
    elif kind.startswith("dict("):
        inner = kind[5:-1].split(", ", 1)[1]
        for key, one in value.items():
            judge(one, inner, f"{place}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            sys.exit(f"{place}: {value!r} is not of type {kind}")
    else:
        model = getattr(models, kind)
        names = {json: name for name, json in model.attribute_map.items()}
        for key, one in value.items():
            if key not in names:
                sys.exit(f"{place}: {kind} has no field {key}")
            judge(one, model.openapi_types[names[key]], f"{place}.{key}")
        try:
            model(**{names[key]: one for key, one in value.items()})  # refuses what is required and not there
        except ValueError as error:
            sys.exit(f"{place}: {error}")


def main():
    with open(sys.argv[1]) as file:
        documents = list(yaml.safe_load_all(file))
    for document in documents:
        judge(document, KINDS[document["kind"]].__name__, document["kind"])
    settings = next(one for one in documents if one["kind"] == "ConfigMap")["data"]["ringway.toml"]
    pod = next(one for one in documents if one["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["hostNetwork"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez", "liveness"
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz", "readiness"
    before = " ".join(container["lifecycle"]["preStop"]["exec"]["command"])
    assert "ringway ctl drain" in before, before
    waits = int(re.search(r"sleep +(\d+)", before)[1])
    drain = int(re.search(r'drain = "(\d+)s"', settings)[1])
    assert waits + drain < pod["terminationGracePeriodSeconds"], "the pod is killed before its drain is over"
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in pod["volumes"]}, mounted
    print(settings)


if __name__ == "__main__":
    main()
