"""What can be asked of a host: one declaration per operation, made once and read by every door."""
