# The journal: what was done, by whom, to whom.

permit(p: Person, "read", _r: JournalRecord, field,
       "journal.all: who may open the journal reads all of it") if
    opens_page(p, "audit.read") and part_of(field, "AuditRecord") and level(field, "internal");

permit(p: Person, "read", r: JournalRecord, field,
       "journal.own: every person reads the records of own actions") if
    person(p) and r.actor_id = p.id and part_of(field, "AuditRecord") and level(field, "internal");
