"""The only package that knows SQL. Writes what it is given; makes no ids and no times."""
