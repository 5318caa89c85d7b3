"""RMSE of forecasts by WeatherBench-X: python with_weatherbench_x.py predictions.nc targets.nc."""

import sys

import xarray as xr
from weatherbenchX import aggregation, weighting
from weatherbenchX.data_loaders.xarray_loaders import PredictionsFromXarray, TargetsFromXarray
from weatherbenchX.metrics import base, deterministic

point = xr.open_dataset(sys.argv[1])["2m_temperature"].isel(latitude=0, longitude=0)
point = point.isel(lead_time=slice(1, None)).dropna("init_time")  # starts of forecasts; analyses alone are at lead 0
times = point.init_time.values, point.lead_time.values
names = ["geopotential", "temperature", "2m_temperature"]
predictions = PredictionsFromXarray(path=sys.argv[1], variables=names, rename_dimensions=None).load_chunk(*times)
targets = TargetsFromXarray(path=sys.argv[2], variables=names).load_chunk(*times)
metrics = {"rmse": deterministic.RMSE()}
statistics = base.compute_unique_statistics_for_all_metrics(metrics, predictions, targets)
mean = aggregation.Aggregator(["init_time", "latitude", "longitude"], weigh_by=[weighting.GridAreaWeighting()])
print(mean.aggregate_statistics(statistics).metric_values(metrics))
