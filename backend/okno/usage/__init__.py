"""Which client uses which part of the schema, and since when nobody does."""
