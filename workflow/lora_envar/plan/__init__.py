"""What is made from what: the configuration, checked, and the files that follow from it. Pure Python, no torch."""
