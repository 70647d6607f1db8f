"""Wiring only: one file per role, and main.py which powers a card on."""
