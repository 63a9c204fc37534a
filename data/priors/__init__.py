"""Video priors: sentences through film, motion capture and a judge to reference motions."""
