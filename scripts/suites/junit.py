#!/usr/bin/env python3
"""Prints what a JUnit report says of each test: its name, and pass, fail or skip."""
import sys
import xml.etree.ElementTree

FAILURES = ("failure", "error")

results = {}
for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    name = f"{case.get('classname')}.{case.get('name')}".replace(" ", "_").encode("ascii", "backslashreplace").decode()
    children = {child.tag for child in case}
    result = "fail" if children.intersection(FAILURES) else "skip" if "skipped" in children else "pass"
    # A test may be reported twice: once for itself and once for what it leaves behind.
    if results.get(name) != "fail":
        results[name] = result
for name in sorted(results):
    print(name.replace("\n", "\\n"), results[name])
