"""Who may do what, and why: the Polar files of `policies/`, compiled to decisions."""
