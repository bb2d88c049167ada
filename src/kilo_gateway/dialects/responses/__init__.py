"""OpenAI Responses, as callers and upstreams speak it. https://platform.openai.com/docs/api-reference/responses

Stateless: nothing is stored, so nothing can be referred to. Signatures of other providers travel through the caller in
envelopes of our own (envelope.py).
"""
