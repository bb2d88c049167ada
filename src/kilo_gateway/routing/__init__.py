"""Which endpoint serves a request, in which order, and why."""
