"""How settings are read: the table of them, where each stands, and the two sources of upstreams. config.py puts them together."""
