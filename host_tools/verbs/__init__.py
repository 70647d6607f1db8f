"""The verbs of the `chassis` command; each turns arguments into calls and answers into words."""
