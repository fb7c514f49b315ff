"""Themes: recurring topics with ids that survive refits. Arrays and texts in, fits out; numpy and scipy."""
