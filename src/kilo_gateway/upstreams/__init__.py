"""Where to send and how to sign: rows of data for plain providers, a file for odd ones."""
