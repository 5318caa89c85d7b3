"""The code of docs/extending.md works: each change is made in a copy of the package, as the page says."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

METHOD = """
import torch
from lora_envar.analysis import METHODS
from lora_envar.analysis.method import Inputs
from lora_envar.background.genbe import fit_genbe
from lora_envar.fields.grid import Grid
from lora_envar.plan.documentation import filled
from lora_envar.plan.schema import complete_schema

grid = Grid("gaussian", 16, 32)
fit_genbe([torch.randn(12, 69, 16, 32, dtype=torch.float64)], grid, 5).save("genbe.safetensors")
inputs = Inputs({"genbe": "genbe.safetensors"}, None, grid)
plain = METHODS["3dvar"]({"background_weight": 1.0}).background_error(inputs)
method = METHODS["3dvar_inflated"]
assert complete_schema()["properties"]["methods"]["properties"][method.name]["properties"]["inflation"]
model = method({"background_weight": 1.0, "inflation": 2.0}).background_error(inputs)
control = torch.randn(model.control_size)
torch.testing.assert_close(model.increment(control), 2 * plain.increment(control), rtol=1e-4, atol=1e-4)
assert "`inflation` | `3dvar_inflated`" in filled(open("README.md").read())
"""

FORECAST_MODEL = """
import torch
from lora_envar.forecast import check_model, forecast, load_model
from lora_envar.plan.documentation import filled

section = {"name": "persistence", "weights": "none", "step_hours": 6}
section["grid"] = {"kind": "gaussian", "latitudes": 16, "longitudes": 32}
check_model(**section)
states = torch.randn(2, 69, 16, 32)
assert torch.equal(forecast(load_model(**section), states, 12), states)
assert "`persistence` | no change at all" in filled(open("README.md").read())
"""

OBSERVATION_TYPE = """
import numpy as np
import torch
from lora_envar.fields.grid import Grid
from lora_envar.fields.state import channel_index
from lora_envar.export.ioda import ioda_variable
from lora_envar.observations.catalogue import CODES, TYPES
from lora_envar.observations.operator import ObservationOperator
from lora_envar.observations.table import Observations

grid = Grid("gaussian", 16, 32)
table = Observations.build(
    variable=np.full(1, CODES["wind_speed_10m"]), value=np.ones(1), latitude=grid.latitude[3:4], longitude=np.zeros(1)
)
state = torch.zeros(69, 16, 32)
state[channel_index("u10")] = 3.0
state[channel_index("v10")] = 4.0
operator = ObservationOperator(table, grid)
assert abs(operator(state).item() - 5.0) < 1e-3
deviations = torch.ones(69)
assert abs(operator.deviation(state, deviations).item() - 1.0) < 1e-3
assert ioda_variable(TYPES["wind_speed_10m"]).name == "windSpeedAt10M"
"""

SCORE = """
import numpy as np
from lora_envar.fields.grid import Grid
from lora_envar.verification import score

grid = Grid("gaussian", 16, 32)
truth = np.zeros((1, 69, 16, 32))
states = truth + np.where(np.arange(32) % 2, 3.0, -1.0)
values = score.score_states(states, truth, grid, np.full((69, 16, 32), 7.0))
# half of the points are 3 off, half 1 on the other side
assert list(score.METRICS)[-1] == "mae"
np.testing.assert_allclose(values[0, 0, [0, 1, -1], 0], [5**0.5, 1.0, 2.0])
"""

#: what is added -> files and the code that they get, and what must hold then
CHANGES = {
    "method": ({"analysis/methods/inflated.py": BLOCKS[0]}, METHOD),
    "forecast model": (
        {"forecast/persistence.py": BLOCKS[1], "forecast/models/persistence.py": BLOCKS[2]},
        FORECAST_MODEL,
    ),
    "observation type": ({"observations/types/wind_speed.py": BLOCKS[3]}, OBSERVATION_TYPE),
    "score": ({"verification/score.py": BLOCKS[4]}, SCORE),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_the_code_of_the_page_works_as_it_stands(change, tmp_path):
    files, check = CHANGES[change]
    package = tmp_path / "workflow" / "lora_envar"
    shutil.copytree(ROOT / "workflow" / "lora_envar", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    shutil.copy(ROOT / "config" / "README.md", tmp_path / "README.md")
    for name, code in files.items():
        path = package / name
        if path.exists():  # an entry in a table
            code = path.read_text() + code
        path.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "workflow")}
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
