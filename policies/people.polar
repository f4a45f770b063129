# Employees: what the index, HR and the corporate directory know of them.

permit(p: Person, "read", _e: Employee, field,
       "people.public: everybody signed in reads the public fields of every employee") if
    person(p) and level(field, "public");

permit(p: Person, "read", e: Employee, field,
       "people.support: support reads internal fields of employees of its countries; of protected people only executives' support does") if
    person(p) and "support" in p.roles and reaches(p, e) and may_attend(p, e) and
    level(field, "internal");

# Desks that look after one system know of an employee what the index knows, and their own system.

desk(p: Person) if
    role in ["certificate_desk", "mail_desk", "network_desk", "software_desk", "badge_desk"] and role in p.roles;

index_field("Subscription.employeeChanged");
index_field(field) if part_of(field, "Employee") and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "people.desks: a desk reads internal fields of the index of employees of its countries, and hears of changes") if
    person(p) and desk(p) and reaches(p, e) and may_attend(p, e) and
    index_field(field);

permit(p: Person, "read", e: Employee, field,
       "people.mail-desk: the mail desk reads internal fields of the directory in its countries") if
    person(p) and "mail_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "DirectorySection") and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "people.badge-desk: the badge desk reads where and until when employees of its countries work") if
    person(p) and "badge_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    field in ["HrSection.state", "HrSection.office", "HrSection.hireDate", "HrSection.leaveUntil", "HrSection.lastDay",
              "HrSection.employmentType"];

# HR

permit(p: Person, "read", e: Employee, field,
       "people.hr-desk: the HR desk reads internal fields of the index and of HR in its countries") if
    person(p) and "hr_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    section in ["Employee", "HrSection"] and part_of(field, section) and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "people.hr-confidential: the HR desk reads confidential fields of HR in its countries") if
    person(p) and "hr_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    part_of(field, "HrSection") and level(field, "confidential");

permit(p: Person, "read", e: Employee, field,
       "people.hr-secret: who holds hr_compensation reads secret fields of HR, such as the salary, in own countries, on shift and with a fresh second factor") if
    person(p) and "hr_compensation" in p.roles and reaches(p, e) and may_attend(p, e) and
    on_shift(p) and confirmed(p) and
    part_of(field, "HrSection") and level(field, "secret");

# Who is calling? The first line sees the end of the number, enough to recognise a caller and too little to call.

permit(p: Person, "mask", e: Employee, "HrSection.personalPhone",
       "people.caller: the first line sees the end of the personal phone of employees of its countries") if
    person(p) and "first_line" in p.roles and reaches(p, e) and may_attend(p, e);

permit(p: Person, "match", e: Employee, "Employee.workPhone",
       "people.caller-number: on shift, the first line finds by the whole work phone who of its countries is calling, protected people too") if
    person(p) and "first_line" in p.roles and on_shift(p) and reaches(p, e);

# Marketing and analytics work with customers, and meet colleagues in the search only.

outside_support(p: Person) if role in ["marketer", "analyst"] and role in p.roles;

permit(p: Person, "mask", e: Employee, field,
       "people.contacts: marketing and analytics see contacts of employees masked") if
    person(p) and outside_support(p) and reaches(p, e) and e.protected = false and
    field in ["Employee.email", "Employee.workPhone"];

permit(p: Person, "match", e: Employee, "Employee.email",
       "people.contacts-address: marketing finds a colleague by the whole address") if
    person(p) and "marketer" in p.roles and reaches(p, e) and e.protected = false;

# Security and tools

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
