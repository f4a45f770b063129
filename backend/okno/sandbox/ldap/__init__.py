"""The simulated domain: an LDAPv3 server (RFC 4511) that behaves like OpenLDAP with the ppolicy and memberOf overlays."""
