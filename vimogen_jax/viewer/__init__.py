"""Looking at motions: pictures, videos and an offline web page."""
