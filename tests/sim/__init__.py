"""The deterministic simulator: a chassis in one process, on a fake clock, from one seed."""
