# The two mutations behind every ready-made action.
#
# They let every person through, because the operation itself decides, on the employee it is meant for
# ("run", see the file of its domain), and a refusal there is recorded in the journal. Services run nothing.

permit(p: Person, "write", _o: Okno, mutation,
       "operations.ask: every person may ask for an operation; whether it may be run, its own rule says") if
    person(p) and mutation in ["Mutation.operationPreview", "Mutation.operationRun"];
