"""The composition root: the only files that name concrete classes together. One for each kind of process."""
