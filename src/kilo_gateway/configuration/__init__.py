"""How settings are read: their table, where each stands, the two sources of upstreams. config.py puts them together."""
