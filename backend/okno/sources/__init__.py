"""Corporate systems: a kind of system is a module, an instance is a manifest in config/sources/."""
