"""Holds Kubernetes manifests against the published schemas.

    kubernetes.py VERSION,VERSION FILE...

Prints {file: [document, ...]} for the test to look into. What is no kind of Kubernetes itself (kustomize's, the
Prometheus Operator's) has no published schema there and is only read. Unknown keys are errors.
"""

import json
import sys

import kubernetes_validate
import yaml

versions, *files = sys.argv[1:]
foreign = ("kustomize.config.k8s.io/", "monitoring.coreos.com/")
manifests = {}
for file in files:
    with open(file) as stream:
        manifests[file] = list(yaml.safe_load_all(stream))
    for document in manifests[file]:
        if document["apiVersion"].startswith(foreign):
            continue
        for version in versions.split(","):
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                sys.exit(f"{file}: {version}: {error.message}")
json.dump(manifests, sys.stdout)
