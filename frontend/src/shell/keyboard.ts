/** Keys: shortcuts of the page, and moving through a list while the focus stays in its field. */
import { type KeyboardEvent as ReactKeyboardEvent, useEffect, useRef, useState } from "react";

/** A key as `mod+k`, `/`, `?`, `Escape`; `mod` is Cmd on Apple's, Ctrl elsewhere. */
export type Shortcuts = Readonly<Record<string, (event: KeyboardEvent) => void>>;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

const isUnderModal = (target: EventTarget | null): boolean =>
  document.querySelector("[aria-modal=true]") !== null &&
  !(target instanceof Element && target.closest("[data-shortcuts]") !== null);

/** Plain keys are left to fields and to open dialogs; those with `mod` work everywhere. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey) return;
      const mod = event.ctrlKey || event.metaKey;
      // `event.code` finds K on a Russian layout as well.
      const name = mod ? `mod+${event.code.replace(/^Key/, "").toLowerCase()}` : event.key;
      const act = latest.current[name];
      if (act === undefined || (!mod && (isTyping(event.target) || isUnderModal(event.target)))) return;
      event.preventDefault();
      act(event);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}

export const isApple = (): boolean => /mac|iphone|ipad/i.test(navigator.userAgent);

/**
 * A list below a field: ↑ ↓ Home End move, Enter chooses. `key` names what is listed: with another list the first entry
 * is current again.
 *
 * `waitingFor` is what was typed while its answer is on its way, else null. The list may then still answer what was typed
 * before: Enter on its first entry is kept until the answer is here, unless one types on. An entry moved to is chosen at once.
 */
export function useListKeys(
  count: number,
  key: string,
  id: string,
  waitingFor: string | null,
  choose: (index: number) => void,
) {
  const [position, setPosition] = useState({ key, index: 0 });
  const active = position.key === key ? Math.min(position.index, Math.max(0, count - 1)) : 0;
  const move = (index: number) => {
    setPosition({ key, index });
    document.getElementById(`${id}-${index}`)?.scrollIntoView({ block: "nearest" });
  };
  const kept = useRef<string | null>(null);
  useEffect(() => {
    if (kept.current === null || kept.current === waitingFor) return;
    const answered = waitingFor === null && count > 0;
    kept.current = null;
    if (answered) choose(0);
  });
  const onKeyDown = (event: ReactKeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    kept.current = null;
    if (event.key === "Enter" && waitingFor !== null && active === 0) {
      kept.current = waitingFor;
      event.preventDefault();
      return;
    }
    if (count === 0) return;
    const target = { ArrowDown: Math.min(active + 1, count - 1), ArrowUp: Math.max(active - 1, 0) }[event.key];
    if (target !== undefined) move(target);
    else if (event.key === "Enter") choose(active);
    else return;
    event.preventDefault();
  };
  const field = {
    role: "combobox" as const,
    "aria-expanded": count > 0,
    "aria-controls": id,
    "aria-autocomplete": "list" as const,
    ...(count > 0 && { "aria-activedescendant": `${id}-${active}` }),
  };
  const option = (index: number) => ({
    id: `${id}-${index}`,
    role: "option" as const,
    "aria-selected": index === active,
    "data-active": index === active,
    tabIndex: -1,
    onMouseMove: () => {
      if (index !== active) setPosition({ key, index });
    },
  });
  return { active, onKeyDown, field, option };
}
