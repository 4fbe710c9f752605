"""The contract between controller and agent: both ends import it, neither adds to it."""
