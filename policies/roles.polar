# Who is asking: people and services, their roles, and how far they reach.
#
# A person's roles and countries come from the team (config/roles/); what a role means stands in these files.

role("support", "answers employees of the team's countries, on any line");
role("domain_operator", "unlocks domain accounts in the team's countries");
role("identity_admin", "looks after domain accounts and groups of the whole company");
role("hr_desk", "answers questions about employment in the team's countries");
role("hr_compensation", "also sees salaries, in the team's countries");
role("executive_support", "may look after protected people too");
role("devices", "hands out and looks after equipment in the team's countries");
role("security_reviewer", "examines who did what, and sees internal data of everyone");
role("auditor", "reads the journal");
role("developer", "builds the tools that ask Okno, and sees who uses what of its schema");

# What an internal tool's token may be issued for.
scope("employees.read", "public and internal fields of employees who are not protected");
scope("audit.read", "the journal");
scope("schema.read", "the schema, by introspection, and who uses what of it");

# A person signed in, by browser or with a personal token.
person(p: Person) if "session" in p.facts;
person(p: Person) if "token" in p.facts and not "service" in p.facts;

# An internal tool. It has no roles: it may do what its token's scopes say, and nothing else.
service(p: Person, wanted) if "service" in p.facts and wanted in p.scopes;

# An employee is within reach when the team serves the employee's country; "all" stands for every country.
reaches(p: Person, _e: Employee) if "all" in p.countries;
reaches(p: Person, e: Employee) if e.country in p.countries;

# Protected people show only their public fields, except to executive support.
may_attend(_p: Person, e: Employee) if e.protected = false;
may_attend(p: Person, _e: Employee) if "executive_support" in p.roles;
