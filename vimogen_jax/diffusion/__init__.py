"""Flow matching: path, objective, solvers. Takes a velocity function, knows no model."""
