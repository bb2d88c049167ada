"""Code that is written between other code (fill in the middle), and edits of code: what editors ask for as one types."""
