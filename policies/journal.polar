# The journal: what was done, by whom, to whom.

permit(p: Person, "read", _r: JournalRecord, field,
       "journal.all: who may open the journal reads all of it") if
    opens_page(p, "audit.read") and part_of(field, "AuditRecord") and level(field, "internal");

permit(p: Person, "read", r: JournalRecord, field,
       "journal.own: every person reads the records of own actions") if
    person(p) and r.actor_id = p.id and part_of(field, "AuditRecord") and level(field, "internal");

permit(p: Person, "read", r: JournalRecord, field,
       "journal.own-team: every person reads the records of what was done for the own team, and of no other") if
    person(p) and r.team in p.teams and part_of(field, "AuditRecord") and level(field, "internal");

# Following it: which records one is told of, the rules above say for each record.
follows_journal(p: Person) if person(p);
follows_journal(p: Person) if service(p, "audit.read");

permit(p: Person, "read", _e: Employee, "Subscription.auditRecordAdded",
       "journal.follow: whoever reads records of the journal is told of new ones") if
    follows_journal(p);

# "Who looked at me": an employee learns who read what is confidential of them, and who did or tried something to them.
# What security does in an investigation is not told to who is investigated; it stands in the journal for the reviewers.
permit(p: Person, "read", h: OwnHistory, field,
       "journal.history: every person learns who looked at them or acted on them, but for what the security team did") if
    person(p) and h.subject_id = p.employee_id and h.team != "security" and
    part_of(field, "HistoryRecord") and level(field, "internal");
