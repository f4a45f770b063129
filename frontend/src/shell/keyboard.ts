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
 */
export function useListKeys(count: number, key: string, id: string, choose: (index: number) => void) {
  const [position, setPosition] = useState({ key, index: 0 });
  const active = position.key === key ? Math.min(position.index, Math.max(0, count - 1)) : 0;
  const move = (index: number) => {
    setPosition({ key, index });
    document.getElementById(`${id}-${index}`)?.scrollIntoView({ block: "nearest" });
  };
  const onKeyDown = (event: ReactKeyboardEvent) => {
    if (count === 0 || event.nativeEvent.isComposing) return;
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
