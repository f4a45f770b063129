"""The journal: what was done, by whom, to whom; written before it is done, and provably not rewritten."""
