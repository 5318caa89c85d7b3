"""Export of analyses, forecasts, the truth and departures to formats that other programs read."""
