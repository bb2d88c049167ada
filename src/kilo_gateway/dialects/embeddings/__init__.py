"""Embeddings: asked as OpenAI has them, answered by every upstream that makes some."""
