"""What is set of a motion beside its sentence, and motions that meet it."""
