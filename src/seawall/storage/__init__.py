"""Durable memory: `engine.store` in statements of SQLAlchemy Core, and the engines that run them."""
