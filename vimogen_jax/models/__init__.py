"""The gated diffusion transformer."""
