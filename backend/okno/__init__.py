"""Okno: a company's CRM in one window."""
