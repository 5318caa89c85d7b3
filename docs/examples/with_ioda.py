"""Root mean square of O - B and O - A of used data: python with_ioda.py sondes_obs_2022013118.nc4."""

import sys

import xarray as xr

file = xr.open_datatree(sys.argv[1])
for name in file["ombg"].data_vars:
    used = file["EffectiveQC0"][name] == 0
    before = (file["ombg"][name].where(used) ** 2).mean() ** 0.5
    after = (file["oman"][name].where(used) ** 2).mean() ** 0.5
    print(f"{name}: {before:.4g} {after:.4g} {file['ombg'][name].units}, {int(used.sum())} data")
