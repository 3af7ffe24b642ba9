"""What holds for every run of pytest: in CI nothing is skipped in silence.

A test that cannot run here is skipped on a developer's machine; in CI it fails, for there a skip
means that something was not installed and nobody would notice.
"""

from __future__ import annotations

import os

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
#: The one reason that stands in CI: what is tested needs another Python than the one that runs.
EXPECTED = "needs Python"


def fail_if_skipped(report):
    """Turn a skip into a failure, in CI, unless its reason is the expected one."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(EXPECTED):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} would be skipped, and this is CI: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Look at every test."""
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Look at every module: `importorskip` at its top skips it whole."""
    report = yield
    fail_if_skipped(report)
    return report
