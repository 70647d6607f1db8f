"""A cluster card's copy of the location database; pure, no I/O."""
