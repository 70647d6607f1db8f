"""What a switch card decides: health, tuples, balance, redundancy, relay; pure, no I/O."""
