"""The location server: provisioning, log, distribution and storage."""
