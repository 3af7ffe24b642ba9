"""Which version of the CDI is spoken."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError, ProtocolError
from async_auth.supertokens.cdi.versions import at_least, checked, choose


@pytest.mark.parametrize(
    "offered, wanted, expected",
    [
        (["5.6", "5.4", "5.5"], None, "5.6"),
        (["2.21", "5.4", "5.3"], None, "5.4"),
        (["5.4", "5.6", "9.0"], None, "5.6"),
        (["5.4", "5.6"], "5.4", "5.4"),
        ([None, 5.6, "5.4"], None, "5.4"),
    ],
)
def test_the_newest_that_both_know_is_spoken(offered, wanted, expected):
    """Unless the user names one."""
    assert expected == choose(offered, wanted)


def test_the_recorded_core_is_spoken_to_in_its_newest_version(recorded):
    """The list of a real core, in its order."""
    assert "5.4" == choose(recorded["core apiversion"]["response"]["json"]["versions"])


@pytest.mark.parametrize("offered, wanted", [(["5.3", "4.0"], None), (["5.4"], "5.6"), ([], None)])
def test_a_core_that_does_not_speak_ours_is_the_configurations_fault(offered, wanted):
    """The user has to change something."""
    with pytest.raises(ConfigurationError, match="does not speak CDI"):
        choose(offered, wanted)


@pytest.mark.parametrize("offered", [None, "5.4", {"5.4": 1}, 5])
def test_no_list_is_no_core(offered):
    """Whatever answered, it was no core."""
    with pytest.raises(ProtocolError):
        choose(offered)


def test_only_versions_that_we_speak_can_be_asked_for():
    """Everything else is refused before anybody is asked."""
    assert [None, "5.4", "5.6"] == [checked(None), checked("5.4"), checked("5.6")]
    for wanted in ("9.9", "2.21", "", 5.4):
        with pytest.raises(ConfigurationError, match="cdi_version"):
            checked(wanted)


def test_versions_are_compared_as_numbers():
    """5.10 is newer than 5.6."""
    assert (True, True, False) == (
        at_least("5.10", "5.6"),
        at_least("5.6", "5.6"),
        at_least("5.4", "5.6"),
    )
