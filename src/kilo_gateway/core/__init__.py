"""Types, errors, ports, the pipeline, money. Imports nothing of ours; knows no socket, no database, no clock."""
