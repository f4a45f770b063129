"""Privacy: what Okno itself holds about a person, shown, erased, and forgotten in time, over all domains."""
