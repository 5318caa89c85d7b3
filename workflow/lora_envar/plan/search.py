"""Tuning apart from testing: candidates of settings, cycled on a period of their own."""

from itertools import product
from typing import Any

PREFIX = "search"


def candidates(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Experiments of all combinations of the settings searched: search_{method}_{number} -> experiment."""
    section = config.get("search")
    if not section:
        return {}
    common = {key: section[key] for key in ("observations", "seed", "period")}
    experiments = {}
    for method, search in section["candidates"].items():
        fixed = {key: search[key] for key in ("rank", "ensemble_size", "vae") if key in search}
        values = {key: entry for key, entry in search.items() if key not in fixed}
        for number, combination in enumerate(product(*values.values())):
            settings = dict(zip(values, combination, strict=True))
            experiments[f"{PREFIX}_{method}_{number:02d}"] = {
                "method": method,
                **common,
                **fixed,
                "settings": settings,
            }
    return experiments
