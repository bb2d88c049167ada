"""Wire formats as pure functions and small machines over bytes. No I/O."""
