"""The order of the state is that of FengWu: other code indexes it by number."""

import pytest
from lora_envar.fields.state import CHANNELS, GROUPS, NAMES, channel_index


def test_channels_stand_where_the_literature_has_them():
    assert len(CHANNELS) == sum(GROUPS) == 69
    expected = {"u10": 0, "v10": 1, "t2m": 2, "msl": 3, "z500": 11, "q500": 24, "u500": 37, "v500": 50, "t850": 66}
    assert {name: NAMES.index(name) for name in expected} == expected


def test_an_unknown_channel_is_named():
    with pytest.raises(KeyError, match="z501"):
        channel_index("z501")
