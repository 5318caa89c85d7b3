"""Export: analyses, forecasts, the truth and departures in the forms that programs of others read."""
