# Domain accounts and groups: who sees them and who changes them. Nobody operates on oneself.

permit(p: Person, "read", e: Employee, field,
       "domain.admin-internal: an identity admin reads internal fields of the index and of domain accounts everywhere") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and
    section in ["Employee", "DomainSection"] and part_of(field, section) and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "domain.admin-confidential: an identity admin reads confidential fields of domain accounts everywhere") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and
    part_of(field, "DomainSection") and level(field, "confidential");

permit(p: Person, "run", e: Employee, "domain.unlock",
       "domain.unlock-in-own-countries: a domain operator unlocks accounts of own countries, of people not dismissed, never one's own") if
    person(p) and "domain_operator" in p.roles and reaches(p, e) and may_attend(p, e) and
    e.state in ["WORKS", "ON_LEAVE", "LEAVING"] and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, operation,
       "domain.administer: an identity admin unlocks accounts and changes groups everywhere, never one's own") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and e.id != p.employee_id and
    operation in ["domain.unlock", "domain.add_to_group", "domain.remove_from_group"];
