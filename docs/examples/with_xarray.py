"""RMSE of z500 by lead: python with_xarray.py predictions.nc targets.nc."""

import sys

import numpy as np
import xarray as xr

predictions = xr.open_dataset(sys.argv[1])["geopotential"].sel(level=500)
targets = xr.open_dataset(sys.argv[2])["geopotential"].sel(level=500)
for lead in predictions.lead_time:
    forecasts = predictions.sel(lead_time=lead).dropna("init_time")  # not all have this lead
    error = forecasts - targets.sel(time=forecasts.valid_time)
    rmse = (error**2).weighted(np.cos(np.radians(error.latitude))).mean() ** 0.5
    print(f"{lead.values.astype('timedelta64[h]')}: {rmse:.2f} m2 s-2, {forecasts.init_time.size} forecasts")
