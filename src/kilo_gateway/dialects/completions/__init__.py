"""Legacy text completions, as callers know them: a chat of one message, answered as text."""
