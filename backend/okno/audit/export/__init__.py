"""The journal outward: to a file or to a syslog server, in order, none left out."""
