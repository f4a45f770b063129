"""Ready-made actions: previewed, gated, recorded, then run in the source they belong to."""
