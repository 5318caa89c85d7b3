"""A map of an analysis by earthkit-plots: python with_earthkit_plots.py predictions.nc coastline.csv map.png."""

import sys

import cartopy.crs as ccrs  # before earthkit: two versions of PROJ are in one process, and the first one loaded counts
import earthkit.plots
import pandas as pd
import xarray as xr

analysis = xr.open_dataset(sys.argv[1])["temperature"].sel(level=850, lead_time="0h").isel(init_time=-1)
chart = earthkit.plots.Map()
chart.contourf(analysis)
for _, line in pd.read_csv(sys.argv[2]).groupby("line"):  # chart.coastlines() would download them
    chart.ax.plot(line.longitude, line.latitude, color="black", linewidth=0.5, transform=ccrs.PlateCarree())
chart.legend()
chart.title(f"Temperature at 850 hPa, {analysis.valid_time.dt.strftime('%Y-%m-%d %H UTC').item()}")
chart.save(sys.argv[3])
