"""How much one may ask for, counted over all processes; and how long one waits after failed sign-ins."""
