"""The compliance checker on a file, as a program: `python compliance.py FILE`; its findings are JSON on stdout.

A process of its own: the checker loads pyproj, whose PROJ is another than that in the library of ecCodes, and both in
one process end it with a segmentation fault. There is no network in it.
"""

import json
import socket
import sys
import warnings

CHECKER = "cf:1.11"
HIGH = 3  # weight of what the checker calls high priority


def refuse(*_):
    raise OSError("no network in this test")


def main(path: str):
    """Print what is wrong at high priority, how many checks ran, and which failed by a fault of their own."""
    socket.socket.connect = refuse
    warnings.filterwarnings("ignore", "The ioos_sos checker is deprecated")
    from compliance_checker.runner import CheckSuite

    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(path) as dataset:
        ((results, faults),) = suite.run_all(dataset, [CHECKER], skip_checks=[]).values()
    found = []
    for result in results:
        score, of = result.value if isinstance(result.value, tuple) else (bool(result.value), 1)
        if result.weight == HIGH and score < of:
            found += [f"{result.name}: {message}" for message in result.msgs]
    print(json.dumps({"found": found, "checks": len(results), "faults": sorted(faults)}))


if __name__ == "__main__":
    main(sys.argv[1])
