"""The example's world: its nature run, packed states, and simulated observations. Real data do not need it."""
