"""Voice-of-customer analytics: every complaint, traced to the process step that causes it."""
