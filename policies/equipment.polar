# Laptops, phones and what else was handed out.

permit(p: Person, "read", e: Employee, field,
       "equipment.devices: the devices team reads internal fields of the index and of equipment in its countries") if
    person(p) and "devices" in p.roles and reaches(p, e) and may_attend(p, e) and
    section in ["Employee", "EquipmentSection", "EquipmentItem"] and part_of(field, section) and level(field, "internal");

permit(p: Person, "read", e: Employee, field,
       "equipment.software-desk: the software desk reads internal fields of equipment in its countries, to know what an application runs on") if
    person(p) and "software_desk" in p.roles and reaches(p, e) and may_attend(p, e) and
    section in ["EquipmentSection", "EquipmentItem"] and part_of(field, section) and level(field, "internal");
