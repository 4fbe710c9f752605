"""The part that waits: it performs the steps that `core` decides, over the ports that adapters implement."""
