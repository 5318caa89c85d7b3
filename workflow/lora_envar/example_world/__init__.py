"""The example's world: its nature run, packed states, and what would be observed of it. Nothing real needs it."""
