/** What the employees of the list are called: the journal has recorded a login, and one looks for a name. */
import { useEffect, useRef, useState } from "react";
import { useClient } from "urql";

import { JournalNamesDocument } from "../generated/graphql";

interface Named {
  subjectKind?: string | null;
  subjectId?: string | null;
  erased?: boolean | null;
}

const MOST = 50;

export function useNames(records: readonly Named[]): ReadonlyMap<string, string> {
  const client = useClient();
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const asked = useRef(new Set<string>());
  useEffect(() => {
    const unknown = records.flatMap(({ subjectKind, subjectId, erased }) =>
      subjectKind === "Employee" && subjectId && erased !== true && !asked.current.has(subjectId) ? [subjectId] : [],
    );
    const ids = [...new Set(unknown)];
    for (let start = 0; start < ids.length; start += MOST) {
      const some = ids.slice(start, start + MOST);
      for (const id of some) asked.current.add(id);
      void client
        .query(JournalNamesDocument, { ids: some })
        .toPromise()
        .then(({ data }) => {
          const found = (data?.nodes ?? []).flatMap((node) =>
            node && "displayName" in node && node.displayName ? [[node.id, node.displayName] as const] : [],
          );
          if (found.length > 0) setNames((now) => new Map([...now, ...found]));
        });
    }
  }, [client, records]);
  return names;
}
