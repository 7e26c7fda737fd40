"""A test report as JUnit XML, as forges read it. Pure."""

from xml.etree import ElementTree as ET

from agent.testreport import Status, TestCase, TestReport
from agent.text import excerpt, sanitise

__all__ = ["as_junit"]

MESSAGE, TEXT = 500, 8_000
"""Characters."""


def as_junit(report: TestReport) -> bytes:
    """The XML of `report`: a test case for each, named as pytest's ids have them."""
    cases = report.cases
    broken = sum(case.status is Status.ERROR for case in cases)
    counts = {
        "tests": len(cases),
        "failures": sum(case.status is Status.FAILED for case in cases),
        "errors": broken + bool(report.problem),
        "skipped": sum(case.status in (Status.SKIPPED, Status.XFAILED) for case in cases),
    }
    top = ET.Element("testsuites")
    suite = ET.SubElement(top, "testsuite", {"name": "greenward"} | {name: str(n) for name, n in counts.items()})
    if report.problem:
        told = ET.SubElement(suite, "testcase", {"classname": "greenward", "name": "the suite"})
        ET.SubElement(told, "error", {"message": _text(report.problem, MESSAGE)})
    for case in cases:
        suite.append(_case(case))
    ET.indent(top)
    xml: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def _case(case: TestCase) -> ET.Element:
    path, _, name = case.id.partition("::")
    element = ET.Element(
        "testcase",
        {
            "classname": _text(path.removesuffix(".py").replace("/", "."), MESSAGE),
            "name": _text(name or path, MESSAGE),
            "file": _text(path, MESSAGE),
            "time": f"{case.seconds:.3f}",
        },
    )
    kind = {Status.FAILED: "failure", Status.ERROR: "error", Status.SKIPPED: "skipped", Status.XFAILED: "skipped"}
    if case.status in kind:
        told = ET.SubElement(element, kind[case.status], {"message": _text(case.message, MESSAGE)})
        told.text = _text(case.detail, TEXT)
    return element


def _text(text: str, limit: int) -> str:
    """`text` with nothing in it that XML cannot hold."""
    return excerpt(sanitise(excerpt(text, limit)), limit)
