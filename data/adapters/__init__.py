"""Programs from outside, each kind behind one small protocol: items in, results by item."""
