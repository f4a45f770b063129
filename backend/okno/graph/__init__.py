"""Assembles the GraphQL schema from the domains' api.py and serves it behind the gate."""
