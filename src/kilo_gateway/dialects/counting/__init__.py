"""How many tokens a Messages request would have: `messages/count_tokens`."""
