"""Registrar front, redirect server and stateless proxy; pure, no I/O."""
