"""The processes of one node: the supervisor, its workers, the control process, the local model."""
