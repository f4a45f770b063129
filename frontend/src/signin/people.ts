/** The demo people, by team, narrowed by what is typed. */
import type { DemoPerson } from "../api/session";

export interface TeamOfPeople {
  id: string;
  title: string;
  people: readonly DemoPerson[];
}

export function groupByTeam(
  people: readonly DemoPerson[],
  typed: string,
  pick: (texts: unknown) => string,
): TeamOfPeople[] {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, { title: string; people: DemoPerson[] }>();
  for (const person of people) {
    const title = pick(person.team.title) || person.team.id;
    const haystack = [person.displayName, person.login, title, ...person.roles].join(" ").toLocaleLowerCase();
    if (!words.every((word) => haystack.includes(word))) continue;
    const group = groups.get(person.team.id) ?? { title, people: [] };
    group.people.push(person);
    groups.set(person.team.id, group);
  }
  return [...groups].map(([id, group]) => ({ id, ...group }));
}
