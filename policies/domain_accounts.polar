# Domain accounts and groups: who sees them and who changes them. Nobody operates on oneself.

# Seeing

permit(p: Person, "read", e: Employee, field,
       "domain.admin-internal: an identity admin reads internal fields of the index and of domain accounts everywhere") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and
    section in ["Employee", "DomainSection"] and part_of(field, section) and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "domain.admin-confidential: an identity admin reads confidential fields of domain accounts everywhere") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and
    part_of(field, "DomainSection") and level(field, "confidential");

permit(p: Person, "read", e: Employee, field,
       "domain.desks: the desks for certificates, network and software read internal fields of domain accounts in their countries") if
    person(p) and role in ["certificate_desk", "network_desk", "software_desk"] and role in p.roles and
    reaches(p, e) and may_attend(p, e) and
    part_of(field, "DomainSection") and level(field, "internal");

# Unlocking, and groups

permit(p: Person, "run", e: Employee, "domain.unlock",
       "domain.unlock-in-own-countries: a domain operator unlocks accounts of own countries, of people not dismissed, never one's own") if
    person(p) and "domain_operator" in p.roles and reaches(p, e) and may_attend(p, e) and
    is_staff(e) and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, operation,
       "domain.administer: an identity admin unlocks accounts and changes groups everywhere, never one's own") if
    person(p) and "identity_admin" in p.roles and may_attend(p, e) and e.id != p.employee_id and
    operation in ["domain.unlock", "domain.add_to_group", "domain.remove_from_group"];

# Switching an account off and on takes a fresh second factor. Off at any hour, since a stolen laptop does not wait; on at work.

permit(p: Person, "run", e: Employee, "domain.disable",
       "domain.disable: an identity admin with a fresh second factor disables accounts everywhere, at any hour, never one's own") if
    person(p) and "identity_admin" in p.roles and confirmed(p) and
    may_attend(p, e) and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, "domain.enable",
       "domain.enable: an identity admin on shift, with a fresh second factor, enables accounts of people not dismissed, never one's own") if
    person(p) and "identity_admin" in p.roles and on_shift(p) and confirmed(p) and
    may_attend(p, e) and is_staff(e) and e.id != p.employee_id;

# The private network and applications: opened at work, to people who are here; closed at any hour.

permit(p: Person, "run", e: Employee, "domain.grant_vpn",
       "domain.grant-vpn: the network desk, on shift, opens the private network to people of its countries not dismissed, never to oneself") if
    person(p) and "network_desk" in p.roles and on_shift(p) and reaches(p, e) and may_attend(p, e) and
    is_staff(e) and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, "domain.revoke_vpn",
       "domain.revoke-vpn: the network desk closes the private network to people of its countries at any hour, never to oneself") if
    person(p) and "network_desk" in p.roles and reaches(p, e) and may_attend(p, e) and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, "domain.grant_application",
       "domain.grant-application: the software desk, on shift, opens applications to people of its countries not dismissed, never to oneself") if
    person(p) and "software_desk" in p.roles and on_shift(p) and reaches(p, e) and may_attend(p, e) and
    is_staff(e) and e.id != p.employee_id;

permit(p: Person, "run", e: Employee, "domain.revoke_application",
       "domain.revoke-application: the software desk closes applications to people of its countries at any hour, never to oneself") if
    person(p) and "software_desk" in p.roles and reaches(p, e) and may_attend(p, e) and e.id != p.employee_id;
