"""Keeping the people index fresh: reading the sources, merging what they say, writing it."""
