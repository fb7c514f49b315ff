"""Event logs and process maps in, deviations out."""
