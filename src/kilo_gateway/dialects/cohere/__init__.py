"""Cohere's chat, version 2, for upstreams: https://docs.cohere.com/reference/chat"""
