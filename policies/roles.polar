# Who is asking: people and services, their roles, and how far they reach.
#
# A person's roles and countries come from the team that the person acts for (config/roles/); what a role means stands in
# these files. Teams are isolated: a rule gives something to a role, within the team's countries, and to nobody else.

role("support", "answers employees of the team's countries, on any line");
role("first_line", "takes the calls of the team's countries, and has to recognise who is calling");
role("domain_operator", "unlocks domain accounts in the team's countries");
role("identity_admin", "looks after domain accounts and groups of the whole company");
role("certificate_desk", "issues certificates to domain accounts of the team's countries");
role("mail_desk", "looks after mailboxes and the directory in the team's countries");
role("network_desk", "opens and closes the private network to employees of the team's countries");
role("software_desk", "opens and closes applications to employees of the team's countries");
role("badge_desk", "hands out badges in the team's countries");
role("hr_desk", "answers questions about employment in the team's countries");
role("hr_compensation", "also sees salaries, in the team's countries");
role("executive_support", "may look after protected people too");
role("devices", "hands out and looks after equipment in the team's countries");
role("security_reviewer", "examines who did what, and sees internal data of everyone");
role("auditor", "reads the journal");
role("developer", "builds the tools that ask Okno, and sees who uses what of its schema");
role("marketer", "writes to customers; knows colleagues by their public fields and a masked contact");
role("analyst", "counts what communication did; knows colleagues by their public fields and a masked contact");

# Separation of duties: roles that one person must not hold, neither by one team nor by several.
incompatible("auditor", "domain_operator", "who reads the journal does no deeds that it tells of");
incompatible("auditor", "identity_admin", "who reads the journal does no deeds that it tells of");
incompatible("auditor", "network_desk", "who reads the journal does no deeds that it tells of");
incompatible("auditor", "software_desk", "who reads the journal does no deeds that it tells of");
incompatible("security_reviewer", "identity_admin", "who examines accounts does not change them");
incompatible("hr_compensation", "identity_admin", "who opens accounts could act under one that sees salaries");

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

# The employee is here to use what is opened.
is_staff(e: Employee) if e.state in ["WORKS", "ON_LEAVE", "LEAVING"];

# At the keyboard, with a second factor proven minutes ago. A token never is.
confirmed(p: Person) if "session" in p.facts and "second_factor" in p.facts;

# The team is at work, by its own hours and time zone. A team without hours never is.
on_shift(p: Person) if "working_hours" in p.facts;
