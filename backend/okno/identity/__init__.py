"""Who is it: sign-in, sessions, bearer tokens, teams."""
