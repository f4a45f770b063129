-- One file is the truth behind all simulated systems. Indexes are made after the rows (indexes.sql), which is twice as fast.
CREATE TABLE company(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- HR: `document` is the answer's JSON as it is sent
CREATE TABLE hr_employee(number INTEGER PRIMARY KEY, document TEXT NOT NULL);

-- directory: `resource` is the SCIM resource without groups, meta and what is computed from other resources
CREATE TABLE directory_user(
  position INTEGER PRIMARY KEY, id TEXT NOT NULL, user_name TEXT NOT NULL, external_id TEXT,
  resource TEXT NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL, version INTEGER NOT NULL
);
CREATE TABLE directory_email(value TEXT NOT NULL, user INTEGER NOT NULL, PRIMARY KEY(value, user)) WITHOUT ROWID;
CREATE TABLE directory_group(
  position INTEGER PRIMARY KEY, id TEXT NOT NULL, display_name TEXT NOT NULL, external_id TEXT,
  resource TEXT NOT NULL, created TEXT NOT NULL, modified TEXT NOT NULL, version INTEGER NOT NULL
);
CREATE TABLE directory_member(group_position INTEGER NOT NULL, user INTEGER NOT NULL, PRIMARY KEY(group_position, user)) WITHOUT ROWID;

-- domain: `attributes` is {name: [values]} without what is computed (memberOf, member, entryDN …); `domain_value` indexes some
CREATE TABLE domain_entry(
  id INTEGER PRIMARY KEY, dn TEXT NOT NULL, ndn TEXT NOT NULL, parent INTEGER, attributes TEXT NOT NULL
);
CREATE TABLE domain_value(attribute TEXT NOT NULL, value TEXT NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY(attribute, value, entry)) WITHOUT ROWID;
CREATE TABLE domain_member(group_entry INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY(group_entry, entry)) WITHOUT ROWID;

CREATE TABLE equipment(
  personnel_number TEXT NOT NULL, inventory_number TEXT PRIMARY KEY, kind TEXT NOT NULL, model TEXT NOT NULL,
  serial TEXT NOT NULL, issued_on TEXT NOT NULL, warranty_until TEXT, state TEXT NOT NULL
) WITHOUT ROWID;
