"""What the gateway knows of models and keys, as one immutable snapshot."""
