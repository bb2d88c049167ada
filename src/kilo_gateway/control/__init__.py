"""The control process: keys, usage, catalogue, imports. Everything that is not inference."""
