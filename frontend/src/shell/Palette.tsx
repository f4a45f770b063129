/** Ctrl/Cmd+K: people and pages, one list, one field. */
import { Icon, Modal, TextInput } from "@gravity-ui/uikit";
import { useId, useRef, useState } from "react";
import { useLocation } from "wouter";

import type { Gate } from "../api/gate";
import { useI18n } from "../i18n";
import { Marked } from "../people/Marked";
import { StateChip } from "../people/StateChip";
import { type Found, isSearchable, useSearch } from "../people/useSearch";
import { useListKeys } from "./keyboard";
import { useMay } from "./me";
import { employeePath, type Page } from "./pages";
import styles from "./Palette.module.css";

const PEOPLE = 8;

type Entry = { kind: "page"; page: Page; path: string } | { kind: "person"; person: Found; path: string };

export default function Palette({ pages, onClose }: { pages: readonly Page[]; onClose(): void }) {
  const { t } = useI18n();
  const [, navigate] = useLocation();
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const maySearch = useMay("people.search");
  const search = useSearch(maySearch ? typed : "", PEOPLE);

  const wanted = typed.trim().toLocaleLowerCase();
  const entries: Entry[] = [
    ...search.people.map((person) => ({ kind: "person" as const, person, path: employeePath(person.id) })),
    ...pages
      .filter((page) => t(page.title).toLocaleLowerCase().includes(wanted))
      .map((page) => ({ kind: "page" as const, page, path: page.path })),
  ];
  const go = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    navigate(entry.path);
  };
  const keys = useListKeys(entries.length, `${wanted} ${search.text}`, id, search.waiting ? wanted : null, (index) =>
    go(entries[index]),
  );

  return (
    <Modal
      open
      disableTransition
      onOpenChange={onClose}
      initialFocus={field}
      aria-label={t("palette.title")}
      contentClassName={styles.window}
    >
      <div data-testid="palette">
        <TextInput
          controlRef={field}
          className={styles.field}
          size="xl"
          view="clear"
          value={typed}
          autoFocus
          onUpdate={setTyped}
          onKeyDown={keys.onKeyDown}
          placeholder={t("palette.placeholder")}
          autoComplete={false}
          controlProps={{ ...keys.field, "aria-label": t("palette.placeholder"), spellCheck: false, maxLength: 200 }}
          qa="palette-input"
        />
        <p className="okno-visually-hidden" role="status">
          {search.waiting ? t("search.waiting") : t("palette.found", { count: entries.length })}
        </p>
        <div role="listbox" id={id} className={styles.list} aria-label={t("palette.title")} aria-busy={search.waiting}>
          {entries.map((entry, index) => (
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions -- an option; the keys are the field's
            <div key={entry.path} className={styles.entry} onClick={() => go(entry)} {...keys.option(index)}>
              {entry.kind === "page" ? (
                <>
                  <Icon data={entry.page.icon} size={16} />
                  <span className={styles.name}>{t(entry.page.title)}</span>
                  <span className={styles.kind}>{t("palette.page")}</span>
                </>
              ) : (
                <Person person={entry.person} query={search.text} gate={search.gate} />
              )}
            </div>
          ))}
          {entries.length === 0 && !search.waiting && (
            <p className={styles.nothing}>
              {search.failure === null ? t("palette.nothing") : t("search.failed.title")}
            </p>
          )}
        </div>
        {maySearch && !isSearchable(typed) && <p className={styles.foot}>{t("palette.hint")}</p>}
      </div>
    </Modal>
  );
}

function Person({ person, query, gate }: { person: Found; query: string; gate: Gate }) {
  return (
    <>
      <span className={styles.name}>
        <Marked
          text={person.displayName ?? (person.heldAbroad ? person.personnelNumber : null)}
          field={person.displayName ? "displayName" : "personnelNumber"}
          query={query}
          gate={gate}
        />
        <span className={styles.second}>
          {person.login && <Marked text={person.login} field="login" query={query} gate={gate} />}
        </span>
      </span>
      <span className={styles.kind}>{person.department}</span>
      {person.state && <StateChip state={person.state} />}
    </>
  );
}
