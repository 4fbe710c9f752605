"""How notices travel: `local` within one controller."""
