"""Subscriptions: topics, what runs for each of them, and the two protocols that carry them."""
