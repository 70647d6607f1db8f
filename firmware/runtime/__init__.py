"""The only place that waits: reactor, clock, console, management."""
