"""Feedback and deviations in, associations and root causes out."""
