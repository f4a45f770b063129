# Employees: what the index, HR and the corporate directory know of them.

permit(p: Person, "read", _e: Employee, field,
       "people.public: everybody signed in reads the public fields of every employee") if
    person(p) and level(field, "public");

permit(p: Person, "read", e: Employee, field,
       "people.support: support reads internal fields of employees of its countries; of protected people only executives' support does") if
    person(p) and "support" in p.roles and reaches(p, e) and may_attend(p, e) and
    level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "people.hr-desk: the HR desk reads internal fields of the index and of HR in its countries") if
    person(p) and "hr_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    section in ["Employee", "HrSection"] and part_of(field, section) and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "people.hr-confidential: the HR desk reads confidential fields of HR in its countries") if
    person(p) and "hr_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "HrSection") and level(field, "confidential");

permit(p: Person, "read", e: Employee, field,
       "people.hr-secret: who holds hr_compensation reads secret fields of HR, such as the salary, in own countries") if
    person(p) and "hr_compensation" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "HrSection") and level(field, "secret");

permit(p: Person, "read", e: Employee, field,
       "people.security: a security reviewer reads internal fields of everyone but protected people") if
    person(p) and "security_reviewer" in p.roles and e.protected = false and
    level(field, "internal");

permit(p: Person, "read", _e: Employee, field,
       "people.service-public: a service with the scope employees.read reads public fields of every employee") if
    service(p, "employees.read") and level(field, "public");

permit(p: Person, "read", e: Employee, field,
       "people.service-internal: a service with the scope employees.read reads internal fields, unless protected") if
    service(p, "employees.read") and e.protected = false and level(field, "internal");
