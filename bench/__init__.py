"""Measurements against limits of the same run. Printed, never asserted: `make bench`."""
