"""Location records, their store and number routes; pure, no I/O."""
