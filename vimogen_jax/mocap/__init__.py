"""From a film to a motion: the landmark networks, films in, and a person followed through one."""
