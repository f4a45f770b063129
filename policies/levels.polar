# How sensitive each field is. `okno policy check` fails while a field of the schema is missing here.
#
# public        everybody signed in
# internal      who serves the employee
# confidential  private life and security: only the desk whose work needs it
# secret        only with a role made for it, and a fresh second factor
#
# How a field is shown to whom a rule with the action "mask" lets see it, and no more, stands at the end.

# The window itself. No row decides it: everybody sees the same.

resource_of("Query", "Okno");
level("Query.node", "public");
level("Query.nodes", "public");
level("Query.me", "public");
level("Query.employee", "public");
level("Query.operations", "public");
level("Query.widgets", "public");
level("Query.auditRecords", "public");
level("Query.auditEventTypes", "public");
level("Query.whoLookedAtMe", "public");
level("Query.employees", "internal");
level("Query.sources", "internal");
level("Query.schemaUsage", "internal");

# What is told as it happens. A change is decided by the employee whom it is about, as internal fields are.
resource_of("Subscription", "Employee");
level("Subscription.auditRecordAdded", "internal");
level("Subscription.employeeChanged", "internal");

# What a federation router asks. The employees behind _entities are decided like everywhere else;
# _service tells the schema, like introspection.
level("Query._entities", "public");
level("Query._service", "internal");

resource_of("_Service", "Okno");
level("_Service.sdl", "internal");

resource_of("Me", "Okno");
level("Me.id", "public");
level("Me.kind", "public");
level("Me.displayName", "public");
level("Me.login", "public");
level("Me.teams", "public");
level("Me.roles", "public");
level("Me.permissions", "public");
level("Me.employee", "public");

resource_of("Team", "Okno");
level("Team.id", "public");
level("Team.title", "public");

resource_of("Operation", "Okno");
level("Operation.id", "public");
level("Operation.title", "public");
level("Operation.source", "public");
level("Operation.sourceTitle", "public");
level("Operation.risk", "public");
level("Operation.inputSchema", "public");
level("Operation.secondFactor", "public");

resource_of("Widget", "Okno");
level("Widget.id", "public");
level("Widget.version", "public");
level("Widget.view", "public");
level("Widget.slot", "public");
level("Widget.manifest", "public");
level("Widget.document", "public");
level("Widget.documentId", "public");

resource_of("Source", "Okno");
level("Source.id", "internal");
level("Source.title", "internal");
level("Source.kind", "internal");
level("Source.state", "internal");
level("Source.breaker", "internal");
level("Source.latencyMs", "internal");
level("Source.lastSuccessAt", "internal");
level("Source.lastError", "internal");

resource_of("SourceErrorInfo", "Okno");
level("SourceErrorInfo.code", "internal");
level("SourceErrorInfo.message", "internal");
level("SourceErrorInfo.at", "internal");

# Who uses which part of the schema. A client's principal is a service, or the person whose token it has.

resource_of("SchemaUsage", "Okno");
level("SchemaUsage.coordinate", "internal");
level("SchemaUsage.kind", "internal");
level("SchemaUsage.deprecated", "internal");
level("SchemaUsage.deprecationReason", "internal");
level("SchemaUsage.removalDate", "internal");
level("SchemaUsage.operations", "internal");
level("SchemaUsage.lastSeenAt", "internal");
level("SchemaUsage.clientCount", "internal");
level("SchemaUsage.clients", "internal");

resource_of("SchemaClientUsage", "Okno");
level("SchemaClientUsage.name", "internal");
level("SchemaClientUsage.version", "internal");
level("SchemaClientUsage.principalKind", "internal");
level("SchemaClientUsage.principal", "internal");
level("SchemaClientUsage.operations", "internal");
level("SchemaClientUsage.lastSeenAt", "internal");

# Employees. Public is what a colleague may know of anyone; all that a source tells is at least internal.
# The way to a section and its `meta` (does the source answer, how old is the data) are always readable.

resource_of("Employee", "Employee");
level("Employee.id", "public");
level("Employee.displayName", "public");
level("Employee.latinName", "public");
level("Employee.position", "public");
level("Employee.department", "public");
level("Employee.office", "public");
level("Employee.country", "public");
level("Employee.city", "public");
level("Employee.timeZone", "public");
level("Employee.heldAbroad", "public");
level("Employee.hr", "public");
level("Employee.directory", "public");
level("Employee.domain", "public");
level("Employee.equipment", "public");
level("Employee.login", "internal");
level("Employee.email", "internal");
level("Employee.personnelNumber", "internal");
level("Employee.workPhone", "internal");
level("Employee.state", "internal");
level("Employee.protected", "internal");
level("Employee.manager", "internal");
level("Employee.managers", "internal");
level("Employee.indexedAt", "internal");

resource_of("HrSection", "Employee");
level("HrSection.meta", "public");
level("HrSection.personnelNumber", "internal");
level("HrSection.fullName", "internal");
level("HrSection.latinName", "internal");
level("HrSection.position", "internal");
level("HrSection.department", "internal");
level("HrSection.departmentPath", "internal");
level("HrSection.managerPersonnelNumber", "internal");
level("HrSection.office", "internal");
level("HrSection.country", "internal");
level("HrSection.city", "internal");
level("HrSection.timeZone", "internal");
level("HrSection.hireDate", "internal");
level("HrSection.leaveUntil", "internal");
level("HrSection.state", "internal");
level("HrSection.lastDay", "internal");
level("HrSection.employmentType", "internal");
level("HrSection.workPhone", "internal");
level("HrSection.birthDate", "confidential");
level("HrSection.homeAddress", "confidential");
level("HrSection.personalPhone", "confidential");
level("HrSection.salary", "secret");

resource_of("DirectorySection", "Employee");
level("DirectorySection.meta", "public");
level("DirectorySection.userName", "internal");
level("DirectorySection.displayName", "internal");
level("DirectorySection.email", "internal");
level("DirectorySection.phone", "internal");
level("DirectorySection.title", "internal");
level("DirectorySection.active", "internal");
level("DirectorySection.groups", "internal");
level("DirectorySection.locale", "internal");
level("DirectorySection.timeZone", "internal");
level("DirectorySection.manager", "internal");
level("DirectorySection.modifiedAt", "internal");

resource_of("DomainSection", "Employee");
level("DomainSection.meta", "public");
level("DomainSection.login", "internal");
level("DomainSection.dn", "internal");
level("DomainSection.enabled", "internal");
level("DomainSection.locked", "internal");
level("DomainSection.lockedAt", "internal");
level("DomainSection.failedLogons", "internal");
level("DomainSection.passwordChangedAt", "internal");
level("DomainSection.passwordExpiresAt", "internal");
level("DomainSection.groups", "internal");
level("DomainSection.lastLogonAt", "confidential");

resource_of("EquipmentSection", "Employee");
level("EquipmentSection.meta", "public");
level("EquipmentSection.items", "internal");

resource_of("EquipmentItem", "Employee");
level("EquipmentItem.inventoryNumber", "internal");
level("EquipmentItem.kind", "internal");
level("EquipmentItem.model", "internal");
level("EquipmentItem.serial", "internal");
level("EquipmentItem.issuedOn", "internal");
level("EquipmentItem.warrantyUntil", "internal");
level("EquipmentItem.state", "internal");

# The journal.

resource_of("AuditRecord", "JournalRecord");
level("AuditRecord.id", "internal");
level("AuditRecord.at", "internal");
level("AuditRecord.eventType", "internal");
level("AuditRecord.title", "internal");
level("AuditRecord.phase", "internal");
level("AuditRecord.actorName", "internal");
level("AuditRecord.actorLogin", "internal");
level("AuditRecord.subjectKind", "internal");
level("AuditRecord.subjectId", "internal");
level("AuditRecord.subjectLabel", "internal");
level("AuditRecord.outcome", "internal");
level("AuditRecord.detail", "internal");
level("AuditRecord.policyVersion", "internal");
level("AuditRecord.rule", "internal");
level("AuditRecord.requestId", "internal");
level("AuditRecord.chain", "internal");
level("AuditRecord.seq", "internal");
level("AuditRecord.hash", "internal");
level("AuditRecord.actorId", "internal");
level("AuditRecord.actorKind", "internal");
level("AuditRecord.team", "internal");
level("AuditRecord.erased", "internal");
level("AuditRecord.refersTo", "internal");

resource_of("AuditEventType", "Okno");
level("AuditEventType.id", "public");
level("AuditEventType.title", "public");
level("AuditEventType.kind", "public");

# What the journal tells an employee about themselves.

resource_of("HistoryRecord", "OwnHistory");
level("HistoryRecord.id", "internal");
level("HistoryRecord.at", "internal");
level("HistoryRecord.eventType", "internal");
level("HistoryRecord.title", "internal");
level("HistoryRecord.actorName", "internal");
level("HistoryRecord.team", "internal");
level("HistoryRecord.teamTitle", "internal");
level("HistoryRecord.fields", "internal");
level("HistoryRecord.operation", "internal");
level("HistoryRecord.outcome", "internal");
level("HistoryRecord.erased", "internal");

# Types that carry no data of their own: pages of lists, results of mutations, the state of a section, an amount.
# Their fields are public to who was let through to them. A new type is not structural until it stands here.

structural("PageInfo");
structural("EmployeeConnection");
structural("EmployeeEdge");
structural("AuditRecordConnection");
structural("AuditRecordEdge");
structural("HistoryRecordConnection");
structural("HistoryRecordEdge");
structural("SchemaUsageConnection");
structural("SchemaUsageEdge");
structural("OperationPreviewPayload");
structural("OperationRunPayload");
structural("Change");
structural("UserError");
structural("SectionMeta");
structural("SectionError");
structural("Money");

# Masks. `last-4`: the last four signs; `first-letter`; `domain`: of an address what stands behind the @; `hidden`: that there is something.

masked("Employee.email", "domain");
masked("Employee.workPhone", "last-4");
masked("HrSection.personalPhone", "last-4");
