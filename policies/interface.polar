# The window itself: pages, and fields that belong to no employee.

# Which roles open which pages. A page is a permission, listed in Me.permissions.
page("people.search", "support");
page("people.search", "domain_operator");
page("people.search", "identity_admin");
page("people.search", "hr_desk");
page("people.search", "hr_compensation");
page("people.search", "executive_support");
page("people.search", "devices");
page("people.search", "security_reviewer");
page("people.search", "certificate_desk");
page("people.search", "mail_desk");
page("people.search", "network_desk");
page("people.search", "software_desk");
page("people.search", "badge_desk");
page("people.search", "marketer");
page("people.search", "analyst");
page("sources.read", "support");
page("sources.read", "certificate_desk");
page("sources.read", "mail_desk");
page("sources.read", "network_desk");
page("sources.read", "software_desk");
page("sources.read", "domain_operator");
page("sources.read", "identity_admin");
page("sources.read", "hr_desk");
page("sources.read", "devices");
page("sources.read", "security_reviewer");
page("audit.read", "security_reviewer");
page("audit.read", "auditor");
page("schema.usage", "security_reviewer");
page("schema.usage", "developer");

opens_page(p: Person, name) if page(name, role) and person(p) and role in p.roles;
opens_page(p: Person, "people.search") if service(p, "employees.read");
opens_page(p: Person, "audit.read") if service(p, "audit.read");
opens_page(p: Person, "schema.usage") if service(p, "schema.read");

permit(p: Person, "use", _o: Okno, name,
       "interface.pages: a page opens to the roles and scopes listed for it") if
    opens_page(p, name);

# The schema tells what exists, so not everybody explores it.
explores_schema(p: Person) if "session" in p.facts and "development" in p.facts;
explores_schema(p: Person) if service(p, "schema.read");

permit(p: Person, "use", _o: Okno, "graphiql.use",
       "interface.graphiql: on a developer's machine whoever signed in with a browser uses GraphiQL") if
    "session" in p.facts and "development" in p.facts;

permit(p: Person, "use", _o: Okno, "introspection.use",
       "interface.introspection: developers, and services with the scope schema.read, introspect the schema") if
    explores_schema(p);

permit(p: Person, "read", _o: Okno, field,
       "interface.schema: who may introspect may also ask for the schema as a federation router does") if
    explores_schema(p) and field in ["Query._service", "_Service.sdl"];

permit(p: Person, "read", _o: Okno, field,
       "interface.public: everybody signed in uses the interface") if
    person(p) and level(field, "public");

permit(p: Person, "read", _o: Okno, field,
       "interface.service: a service with any scope asks through the same interface") if
    scope(name, _) and service(p, name) and level(field, "public");

permit(p: Person, "read", _o: Okno, "Query.employees",
       "interface.search: who may open the search lists employees") if
    opens_page(p, "people.search");

permit(p: Person, "read", _o: Okno, field,
       "interface.sources: who may open the sources sees whether each system answers") if
    opens_page(p, "sources.read") and sources_field(field) and level(field, "internal");

sources_field("Query.sources");
sources_field(field) if section in ["Source", "SourceErrorInfo"] and part_of(field, section);

permit(p: Person, "read", _o: Okno, field,
       "interface.schema-usage: who may open the use of the schema sees which clients use which field") if
    opens_page(p, "schema.usage") and schema_usage_field(field) and level(field, "internal");

schema_usage_field("Query.schemaUsage");
schema_usage_field(field) if section in ["SchemaUsage", "SchemaClientUsage"] and part_of(field, section);
