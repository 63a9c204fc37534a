"""Builders of datasets: from folders of motion to records."""
