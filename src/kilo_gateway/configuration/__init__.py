"""How settings are read: the table of them, and the two sources of upstreams. config.py puts them together."""
