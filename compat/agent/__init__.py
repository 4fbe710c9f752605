"""The package name under which programs imported the command executor before it became Seawall."""
