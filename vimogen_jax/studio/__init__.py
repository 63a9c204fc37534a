"""A local web page that takes sentences and films, and shows the motions as they are made."""
