/** Offered actions grouped by the system they change. */
import type { Offer } from "../dashboard/actions";

export interface System {
  source: string;
  title: string;
  offers: readonly Offer[];
}

export function groupBySystem(offers: readonly Offer[], typed: string, pick: (texts: unknown) => string): System[] {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const systems = new Map<string, { title: string; offers: Offer[] }>();
  for (const offer of offers) {
    const title = pick(offer.sourceTitle) || offer.source;
    const haystack = `${pick(offer.title)} ${title} ${offer.id}`.toLocaleLowerCase();
    if (!words.every((word) => haystack.includes(word))) continue;
    const system = systems.get(offer.source) ?? { title, offers: [] };
    system.offers.push(offer);
    systems.set(offer.source, system);
  }
  return [...systems].map(([source, system]) => ({ source, ...system }));
}
