CREATE UNIQUE INDEX directory_user_id ON directory_user(id);
CREATE UNIQUE INDEX directory_user_name ON directory_user(user_name);
CREATE INDEX directory_user_external ON directory_user(external_id);
CREATE UNIQUE INDEX directory_group_id ON directory_group(id);
CREATE INDEX directory_member_user ON directory_member(user, group_position);
CREATE UNIQUE INDEX domain_entry_ndn ON domain_entry(ndn);
CREATE INDEX domain_entry_parent ON domain_entry(parent);
CREATE INDEX domain_member_entry ON domain_member(entry, group_entry);
ANALYZE;
