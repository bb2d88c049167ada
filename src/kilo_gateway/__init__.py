"""Kilo Gateway: one endpoint and one key in front of many language models."""
