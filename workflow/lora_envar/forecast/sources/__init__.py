"""Sources of archives that are forecasts."""
