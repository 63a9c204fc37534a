"""Records on disk and the Grain pipeline that makes batches of them."""
