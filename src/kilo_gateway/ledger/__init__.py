"""Leases and the journal: what a request may cost, and what it did cost."""
