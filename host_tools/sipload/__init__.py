"""SIP load with every answer checked: a generator in C, and the verb that runs it."""
