"""How fast things run on the machine at hand."""
