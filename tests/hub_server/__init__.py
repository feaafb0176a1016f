"""A Hub-protocol server on loopback, and the scenarios that the real clients play against it."""
