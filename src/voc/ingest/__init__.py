"""Files and payloads in, records out, through one declarative mapping a source."""
