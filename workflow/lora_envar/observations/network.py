"""What a network of observations is, by its `source` in the configuration.

A kind of network is a class in a module of a package ``networks/`` of any room; nothing else lists it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

#: hours between the cycles by which reports are kept in files
CYCLE_HOURS = 6


class Network:
    """A kind of network.

    Attributes
    ----------
    name : str
        `source` of its networks in the configuration.
    checked : bool
        Whether its observations are data of others: decoded, checked one by one, against each other and against the
        background, thinned, and in part withheld.
    """

    name: ClassVar[str] = ""
    checked: ClassVar[bool] = False

    @classmethod
    def own_files(cls, settings: dict[str, Any], cycle: datetime) -> list[str]:
        """Files that a user brings for a cycle of 6 h, with reports from 3 h before to 3 h after it."""
        return []
