"""Anthropic Messages, for callers and upstreams. https://docs.anthropic.com/en/api/messages

asking: requests, both ways. reading: an upstream's answers. writing: answers to callers.
"""
