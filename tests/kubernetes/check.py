"""Manifests against Kubernetes' own schemas, strictly, and the chart as Helm renders it.

    check.py FILE.. CHART      prints what is wrong, and nothing otherwise
"""

import sys
import warnings

import helm_python
import kubernetes_validate
import yaml

# The first with all that is used here, and a late one.
VERSIONS = ["1.30", "1.37"]

# What somebody may set: everything off its default.
VALUES = {
    "filesSecret": "authority",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "podAnnotations": {},
    "image": {"tag": "9.9"},
}


def documents(name, text):
    for document in yaml.safe_load_all(text):
        if document is not None:
            yield name, document


def rendered(path):
    with helm_python.Chart.load(path) as chart:
        for values in ({}, VALUES):
            for name, text in chart.render(values, name="landbridge", namespace="shop").items():
                if name.endswith(".yaml"):
                    yield from documents(f"{name} with {values}", text)


def main(*files, chart):
    warnings.simplefilter("ignore")
    faults = []
    found = []
    for path in files:
        with open(path, encoding="utf-8") as file:
            found.extend(documents(path, file.read()))
    found.extend(rendered(chart))
    for name, document in found:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{name}, {version}: {error}")
    verdict = helm_python.lint(chart, strict=True)
    for message in verdict.get("messages", []):
        # An icon is recommended.
        if "icon" not in str(message):
            faults.append(f"{chart}: {message}")
    assert len(found) == 5 + 2 * 3, f"{len(found)} documents"
    print("\n".join(faults), end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:-1], chart=sys.argv[-1]))
