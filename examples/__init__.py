"""Runs to start from, and a simulated company."""
